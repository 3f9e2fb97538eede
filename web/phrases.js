// The lines of text that nodes show come in English. What a line was made of comes before it, so it
// is said in the language of the page; "ilvr" in locales/*/main.json holds the translations.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const phrases = new Map();
let translations = {};

function said(phrase, language) {
  if (typeof phrase === "string") return phrase;
  const template = translations[language]?.ilvr?.[phrase.template] ?? phrase.template;
  return template.replace(/\{(\w+)\}/g, (_, name) => said(phrase.values[name], language));
}

function translated(text) {
  const phrase = phrases.get(text);
  if (!phrase) return text;
  phrases.delete(text);
  const language = app.extensionManager.setting.get("Comfy.Locale");
  const line = said(phrase, language);
  // The page goes from left to right in Arabic too.
  return language === "ar" ? `\u2067${line}\u2069` : line;
}

app.registerExtension({
  name: "ilvr.phrases",
  async setup() {
    api.addEventListener("ilvr.phrase", ({ detail }) => phrases.set(detail.text, detail));
    // Before it is told: the front end listens since before extensions are loaded, and shows it.
    const tell = api.dispatchCustomEvent;
    api.dispatchCustomEvent = function (type, detail) {
      if (type === "progress_text") detail.text = translated(detail.text);
      return tell.call(this, type, detail);
    };
    translations = await api.getCustomNodesI18n();
  },
});
