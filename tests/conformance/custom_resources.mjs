// Judges custom resources, a list of them as JSON at its input, by the schemas of the operators that they are for, which are in the
// folder that it is given. Writes a list of what is wrong with each, empty if nothing is.

import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const [modules] = process.argv.slice(2);
const PACKAGES = {
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

async function judge(resource) {
  const [group] = resource.apiVersion.split("/");
  const kinds = await import(pathToFileURL(`${modules}/${PACKAGES[group]}/${resource.apiVersion}/${resource.kind}.js`));
  const Kind = kinds[resource.kind] ?? kinds.default[resource.kind];
  try {
    new Kind(resource).validate();
    return "";
  } catch (error) {
    return error.message;
  }
}

const resources = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(resources.map(judge))));
