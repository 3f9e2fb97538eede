# Every target makes the virtual environment it needs; nothing is installed outside .venv.
PYTHON ?= python3
VENV ?= .venv
# The versions that CI runs with. `make test CONSTRAINTS=` takes the newest ones instead.
CONSTRAINTS ?= .ci/constraints.txt
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install -q $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: demo gallery recipes studies test test-host test-ui fuzz soak lint bench clean

$(VENV)/.runtime: pyproject.toml $(CONSTRAINTS)
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[evaluate]"
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[dev]"
	touch $@

demo: $(VENV)/.runtime  ## Make the README's figures from the embedded models
	$(VENV)/bin/ilvr demo --output demo-output

# Seeds and settings are those that docs/ writes down.
GRID := $(VENV)/bin/ilvr grid --pipeline embedded --prompt "cat face" --steps 20 --guidance-scale 4 \
    --reference ilvr_latent/assets/references/noto_apple.png
IMAGES := docs/images
REFERENCES := ilvr_latent/assets/references
SAMPLE := $(VENV)/bin/ilvr sample
WHOLE := $(SAMPLE) --perturbed-attention 2
SHEETS := build/gallery

gallery: $(VENV)/.runtime  ## Make the figures of README and docs again
	$(VENV)/bin/ilvr demo --output $(IMAGES)
	$(GRID) --rows factor=1,2,4,8 --columns end=1,0.8,0.6,0.4 --output $(IMAGES)/choosing-factor-end.png
	$(GRID) --rows space=state,prediction --columns steps=5,10,20,50 --factor 2 --end 0.7 \
	    --output $(IMAGES)/choosing-space-steps.png
	$(GRID) --rows factor=1,2 --columns weight=1,0.5,0.2,0.1 --end 0.8 --output $(IMAGES)/choosing-weight.png
	$(VENV)/bin/ilvr grid --reference $(REFERENCES)/scribble_apple.png --rows factor=2,4,8 --columns end=1,0.5,0.25 \
	    --steps 20 --output $(IMAGES)/grid.png
	$(VENV)/bin/ilvr report --reference $(REFERENCES)/scribble_apple.png --factor 4 --end 0.7 --steps 25 --samples 4 \
	    --output $(IMAGES)/report.png && rm $(IMAGES)/report.json
	$(VENV)/bin/python -m benchmarks.quality failures --output $(IMAGES)/failure-modes.png
	$(VENV)/bin/ilvr properties --output $(IMAGES)
	$(VENV)/bin/ilvr grid --reference ilvr_latent/assets/references/noto_apple.png \
	    --mask $(IMAGES)/inpainting-mask.png --steps 25 --sampler ddpm --jump-length 5 \
	    --rows factor=1,2,4 --columns jump_n_sample=1,4 --output $(IMAGES)/inpainting.png
	$(VENV)/bin/ilvr grid --reference $(REFERENCES)/noto_apple.png --rows band=coarse,fine \
	    --columns factor=2,4,8,16 --steps 30 --output $(IMAGES)/band-factor.png
	$(VENV)/bin/python docs/bands.py $(IMAGES)/bands.png
	$(VENV)/bin/python docs/help_pictures.py web/docs/images
	$(VENV)/bin/python docs/branding.py $(IMAGES)
	$(VENV)/bin/python docs/sweep.py $(IMAGES)/sweep.webp
	$(MAKE) recipes
	$(VENV)/bin/python docs/lighter.py $(IMAGES)

recipes: $(VENV)/.runtime  ## The figures of docs/gallery.md
	$(WHOLE) --recipe translate --samples 3 --output $(SHEETS)/translate \
	    --reference $(addprefix $(REFERENCES)/,noto_apple.png noto_pumpkin.png twemoji_sunflower.png)
	$(WHOLE) --recipe paint-to-image --samples 3 --output $(SHEETS)/paint \
	    --reference $(addprefix $(REFERENCES)/,scribble_apple.png scribble_smiley.png)
	$(VENV)/bin/python docs/strokes.py $(SHEETS)/translate/noto_apple_N8_seed0.png $(SHEETS)/painted.png
	$(WHOLE) --recipe edit-scribble --samples 3 --seed 1 --output $(SHEETS)/edit --reference $(SHEETS)/painted.png
	$(WHOLE) --recipe vary-factor --output $(SHEETS)/factors \
	    --reference $(addprefix $(REFERENCES)/,noto_frog.png scribble_car.png)
	$(SAMPLE) --pipeline embedded --steps 25 --prompt "smiling face" --guidance-scale 4 --end 0.7 \
	    --recipe vary-factor --output $(SHEETS)/latent \
	    --reference $(addprefix $(REFERENCES)/,scribble_smiley.png noto_pumpkin.png)
	for name in translate paint edit factors latent; do \
	    cp $(SHEETS)/$$name/sheet.png $(IMAGES)/gallery-$$name.png || exit 1; done
	$(VENV)/bin/ilvr grid --reference $(REFERENCES)/noto_pumpkin.png --rows factor=4,8 \
	    --columns end=1,0.75,0.5,0.25 --output $(IMAGES)/gallery-ranges.png

# Of the tables only that without a reference goes into its page: that of docs/steps.md needs the rows
# of ComfyUI's samplers first (see there), and the others are read, then written.
STUDIES := build/studies
studies: $(VENV)/.dev  ## What the docs measure of the pixel model, and its pictures: three hours of one core
	$(PIP) -e ".[imagenet,training]"
	$(VENV)/bin/ilvr evaluate --quick --output $(STUDIES)/quick
	$(VENV)/bin/ilvr evaluate --methods --output $(STUDIES)/methods
	$(VENV)/bin/python -m docs.excerpts methods $(STUDIES)/methods $(IMAGES)/methods.webp
	$(VENV)/bin/python -m benchmarks.tiles --output $(STUDIES)/tiles --only pixels
	$(VENV)/bin/python -m docs.excerpts tiles $(STUDIES)/tiles $(IMAGES)/tiles.jpg
	$(VENV)/bin/python -m benchmarks.style --output $(STUDIES)/style
	cp $(STUDIES)/style/style-curve-?.png $(IMAGES)
	cp $(STUDIES)/style/style-pictures-0.jpg $(IMAGES)/style-pixels.jpg
	$(VENV)/bin/python -m benchmarks.quality --output $(STUDIES)/quality
	$(VENV)/bin/python -m benchmarks.quality unguided --output $(STUDIES)/quality --docs
	$(VENV)/bin/python -m benchmarks.quality attention --output $(STUDIES)/quality --docs
	cp $(STUDIES)/quality/attention.png $(IMAGES) && $(VENV)/bin/python docs/lighter.py $(IMAGES)
	$(VENV)/bin/python -m training.evaluate_pixel

test: $(VENV)/.dev  ## Unit and parity tests
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist loadfile

test-host:  ## Tests in each ComfyUI of $COMFYUI_PATH, or of ~/comfy; says which are there
	.ci/hosts tests/host

test-ui:  ## The same in a browser: every workflow opens and runs; minutes, on an idle machine
	.ci/hosts tests/ui

# The nodes import the core relatively: they are checked as ComfyUI loads them, inside a package.
fuzz: $(VENV)/.dev  ## Hostile files and inputs by the thousand; COUNT=0.1 tries a tenth
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.fuzz --count $(or $(COUNT),1) --seed $(or $(SEED),0)

soak: $(VENV)/.dev  ## 500 prompts and 100 interrupts on a real ComfyUI server; COUNT=0.1 tries a tenth
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.fuzz.soak --count $(or $(COUNT),1)

lint: $(VENV)/.dev  ## Style, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	mkdir -p $(VENV)/typing && ln -sfn $(CURDIR) $(VENV)/typing/pack
	MYPYPATH=$(VENV)/typing $(VENV)/bin/mypy -p pack.nodes

bench: $(VENV)/.dev  ## A step beside other loops and the network alone; PEER=PATH names a checkout of the authors' code
	$(VENV)/bin/python -m benchmarks $(if $(PEER),--peer $(PEER))

clean:  ## Remove what the targets above made
	rm -rf $(VENV) $(VENV)-* demo-output build *.egg-info
