// The line under a node that says what it does to a run: it is not saved with a workflow (as the last
// of its values it would be read as an input that a later version adds), it goes when a setting of the
// node changes, and it breaks between words.
import { app } from "../../scripts/app.js";

const TEXT_PREVIEW = "$$node-text-preview";

const place = (node) => node.widgets?.findIndex((widget) => widget.name === TEXT_PREVIEW) ?? -1;

function clearOnChange(node) {
  for (const widget of node.widgets ?? []) {
    const callback = widget.callback;
    widget.callback = function (...changed) {
      const line = node.widgets?.[place(node)];
      if (line) line.value = "";
      return callback?.apply(this, changed);
    };
  }
}

app.registerExtension({
  name: "ilvr.readout",
  setup() {
    const style = document.createElement("style");
    style.textContent = ".dom-widget .break-all { word-break: normal; overflow-wrap: anywhere; }";
    document.head.append(style);
  },
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("ILVR")) return;
    clearOnChange(node);
    const onSerialize = node.onSerialize;
    node.onSerialize = function (data) {
      onSerialize?.call(this, data);
      const shown = place(this);
      if (shown >= 0) data.widgets_values?.splice(shown, 1);
    };
  },
});
