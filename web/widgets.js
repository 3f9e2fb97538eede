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

function hideVoid(node) {
  const value = (name) => node.widgets.find((widget) => widget.name === name)?.value;
  for (const widget of node.widgets) {
    const [decides, ...values] = NEEDED[widget.name] ?? [];
    const decided = decides && value(decides);
    if (decided !== undefined) widget.hidden = !values.includes(decided);
  }
  node.setDirtyCanvas?.(true, true);
}

function fit(node) {
  node.setSize([node.size[0], node.computeSize()[1]]);
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
    const onNodeCreated = nodeType.prototype.onNodeCreated;
    nodeType.prototype.onNodeCreated = function (...given) {
      onNodeCreated?.apply(this, given);
      for (const widget of this.widgets ?? []) {
        if (advanced.has(widget.name)) widget.advanced = true;
        if (!Object.values(NEEDED).some(([decides]) => decides === widget.name)) continue;
        const callback = widget.callback;
        widget.callback = (...changed) => {
          callback?.apply(widget, changed);
          hideVoid(this);
          fit(this);
        };
      }
      if (!this.widgets?.length) return;
      hideVoid(this);
      fit(this);
    };
    const onConfigure = nodeType.prototype.onConfigure;
    nodeType.prototype.onConfigure = function (...given) {
      onConfigure?.apply(this, given);
      if (!this.widgets?.length) return;
      hideVoid(this);
      const isSet = (widget) =>
        advanced.has(widget.name) && !widget.hidden && widget.value !== advanced.get(widget.name);
      if (this.widgets.some(isSet)) this.showAdvanced = true;
      if (this.size[1] < this.computeSize()[1]) fit(this);
    };
  },
});
