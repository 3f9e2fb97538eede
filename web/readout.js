// The line under ILVR Apply that says which steps are matched is not saved with a workflow:
// as the last of its values it would be read as an input that a later version adds.
import { app } from "../../scripts/app.js";

const TEXT_PREVIEW = "$$node-text-preview";

app.registerExtension({
  name: "ilvr.readout",
  nodeCreated(node) {
    if (node.comfyClass !== "ILVRApply") return;
    const onSerialize = node.onSerialize;
    node.onSerialize = function (data) {
      onSerialize?.call(this, data);
      const shown = this.widgets?.findIndex((widget) => widget.name === TEXT_PREVIEW) ?? -1;
      if (shown >= 0) data.widgets_values?.splice(shown, 1);
    };
  },
});
