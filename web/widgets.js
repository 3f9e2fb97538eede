// Inputs that newcomers do not need are folded away ("Show Advanced" in the menu of the node) unless a
// workflow sets one, and inputs that another one makes void are not shown.
import { app } from "../../scripts/app.js";

// Input: the one that decides, and for which of its values it has an effect.
const NEEDED = {
  start_percent: ["range_unit", "percent"],
  end_percent: ["range_unit", "percent"],
  start_step: ["range_unit", "steps"],
  end_step: ["range_unit", "steps"],
  end_weight: ["weight_schedule", "linear", "cosine"],
  weight_points: ["weight_schedule", "points"],
};

const decides = (name) => Object.values(NEEDED).some(([input]) => input === name);

function isVoid(node, name) {
  const [input, ...values] = NEEDED[name] ?? [];
  const decided = input && node.widgets.find((widget) => widget.name === input)?.value;
  return decided !== undefined && !values.includes(decided);
}

// Front ends leave room for what is only "advanced", older ones also for what is hidden.
const noRoom = () => [0, -4];

function hide(node) {
  for (const widget of node.widgets ?? []) {
    if (!widget.advanced && !(widget.name in NEEDED)) continue;
    const folded = widget.advanced && !node.showAdvanced;
    widget.hidden = folded || isVoid(node, widget.name);
    if (widget.hidden) widget.computeSize = noRoom;
    else if (widget.computeSize === noRoom) delete widget.computeSize;
  }
  node.setDirtyCanvas?.(true, true);
}

function fit(node) {
  node.setSize([node.size[0], node.computeSize()[1]]);
}

function after(prototype, method, then) {
  const before = prototype[method];
  prototype[method] = function (...given) {
    const result = before?.apply(this, given);
    if (this.widgets?.length) then(this);
    return result;
  };
}

app.registerExtension({
  name: "ilvr.widgets",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("ILVR")) return;
    const inputs = { ...nodeData.input?.required, ...nodeData.input?.optional };
    const advanced = new Map();
    for (const [name, [kind, options]] of Object.entries(inputs)) {
      const first = options?.options?.[0] ?? (Array.isArray(kind) ? kind[0] : undefined);
      if (options?.advanced) advanced.set(name, options.default ?? first);
    }
    after(nodeType.prototype, "onNodeCreated", (node) => {
      for (const widget of node.widgets) {
        if (advanced.has(widget.name)) widget.advanced = true;
        if (!decides(widget.name)) continue;
        const callback = widget.callback;
        widget.callback = (...changed) => {
          callback?.apply(widget, changed);
          hide(node);
          fit(node);
        };
      }
      hide(node);
      fit(node);
    });
    after(nodeType.prototype, "onConfigure", (node) => {
      const isSet = ({ name, value }) =>
        advanced.has(name) && !isVoid(node, name) && value !== advanced.get(name);
      if (node.widgets.some(isSet)) node.showAdvanced = true;
      hide(node);
      if (node.size[1] < node.computeSize()[1]) fit(node);
    });
    after(nodeType.prototype, "toggleAdvanced", (node) => {
      hide(node);
      fit(node);
    });
  },
});
