/**
 * Collects the descriptions of models and their fields from the package that carries them, for `kubectl explain`:
 * `bun tools/schema/descriptions.ts` writes shared/api/openapi/descriptions.generated.gz, which is not committed. The
 * build does so and puts the file into the binary. See shared/api/openapi/descriptions.ts for the format.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { reachableModels } from "#shared/api/openapi/models.ts";
import { builtInKinds } from "#shared/api/schema/facts.ts";

const models = join(dirname(Bun.resolveSync("@kubernetes/client-node", import.meta.dir)), "gen", "models");
const target = join(import.meta.dir, "..", "..", "shared", "api", "openapi", "descriptions.generated.gz");

/** Names under which the package may have a model: those of several groups carry the group in front. */
function classNames(model: string): string[] {
  const parts = model.split(".");
  const [group = "", version = "", name = ""] = parts.slice(-3);
  const plain = capitalized(version) + name;
  return [capitalized(group) + plain, plain];
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Comments of a class and its fields, by the fields' names in JSON; the class's own stands under "". */
function descriptionsOf(className: string): Record<string, string> {
  const declaration = readFileSync(join(models, `${className}.d.ts`), "utf8");
  const jsonNames = new Map(
    [...readFileSync(join(models, `${className}.js`), "utf8").matchAll(/"name": "(.+?)",\s*"baseName": "(.+?)"/g)].map(
      ([, name = "", jsonName = ""]) => [name, jsonName],
    ),
  );
  const found: Record<string, string> = {};
  for (const [, comment = "", className2, field = ""] of declaration.matchAll(
    /\/\*\*\n((?:\s*\*(?!\/).*\n)+)\s*\*\/\n(?:export declare class (\w+)|\s+'(.+?)'\??:)/g,
  )) {
    const text = comment
      .replace(/^\s*\* ?/gm, "")
      .replace(/\\(['"\\])/g, "$1")
      .trim();
    const name = className2 === undefined ? jsonNames.get(field) : "";
    if (name !== undefined) found[name] = text;
  }
  return found;
}

let text = "\n";
let missing = 0;
for (const model of reachableModels([...builtInKinds()].map((kind) => kind.model))) {
  const className = classNames(model).find((name) => existsSync(join(models, `${name}.d.ts`)));
  if (className === undefined) missing++;
  else text += `${model}\t${JSON.stringify(descriptionsOf(className))}\n`;
}
writeFileSync(target, gzipSync(text, { level: 9 }));
console.log(`descriptions: ${text.length} characters, ${missing} models without`);
