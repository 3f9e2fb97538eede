// The line under a node that says what it does to a run: it is not saved with a workflow (as the last
// of its values it would be read as an input that a later version adds), it goes when a setting of the
// node changes, it breaks between words, and a closed subgraph shows the lines of what is inside.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const TEXT_PREVIEW = "$$node-text-preview";

const WIDE_ENOUGH = 280; // a subgraph's node is made narrower, and cuts lines off

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

function doNotSave(node) {
  const onSerialize = node.onSerialize;
  node.onSerialize = function (data) {
    onSerialize?.call(this, data);
    const shown = place(this);
    if (shown >= 0) data.widgets_values?.splice(shown, 1);
  };
}

// Of each subgraph's node: the lines inside, by the place of their node.
const linesInside = new WeakMap();

// "7:3:5" is node 5 in the subgraph of node 3 in the subgraph of node 7.
function nodesAround(places) {
  const around = [];
  for (let graph = app.graph; around.length < places.length - 1; ) {
    const node = graph?.getNodeById(Number(places[around.length]));
    if (!node?.subgraph) return [];
    around.push(node);
    graph = node.subgraph;
  }
  return around;
}

function showAround({ nodeId, text, ...rest }) {
  const places = String(nodeId).split(":");
  const around = nodesAround(places);
  if (!around.at(-1)?.subgraph.getNodeById(Number(places.at(-1)))?.comfyClass?.startsWith("ILVR")) return;
  around.forEach((node, depth) => {
    if (!linesInside.has(node)) {
      linesInside.set(node, new Map());
      clearOnChange(node);
      doNotSave(node);
    }
    const lines = linesInside.get(node).set(nodeId, text);
    // The front end takes a place without a colon for one in whatever graph is open.
    if (node.graph !== app.canvas.graph) return;
    const shown = { ...rest, nodeId: places.slice(0, depth + 1).join(":"), text: [...lines.values()].join("\n") };
    api.dispatchCustomEvent("progress_text", shown);
    if (node.size[0] < WIDE_ENOUGH) node.setSize([WIDE_ENOUGH, node.computeSize()[1]]);
  });
}

app.registerExtension({
  name: "ilvr.readout",
  setup() {
    const style = document.createElement("style");
    style.textContent = ".dom-widget .break-all { word-break: normal; overflow-wrap: anywhere; }";
    document.head.append(style);
    api.addEventListener("progress_text", ({ detail }) => showAround(detail));
  },
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("ILVR")) return;
    clearOnChange(node);
    doNotSave(node);
  },
});
