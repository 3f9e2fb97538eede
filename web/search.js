// Of nodes that a word fits as well, the front end lists those that are used much first and then those
// with the shortest name: "ilvr" would give ILVR Grid before the node that everything begins with.
import { app } from "../../scripts/app.js";

const FIRST = "ILVRApply";

app.registerExtension({
  name: "ilvr.search",
  addCustomNodeDefs(definitions) {
    if (!definitions[FIRST]) return;
    definitions[FIRST].postProcessSearchScores = ([fit, ...rest]) => [fit, -0.5, ...rest];
  },
});
