/**
 * Collects the descriptions of models and their fields from the packages that carry them, for `kubectl explain`:
 * `bun tools/schema/descriptions.ts` writes shared/api/openapi/descriptions.generated.gz, which is not committed. The
 * build does so and puts the file into the binary. See shared/api/openapi/descriptions.ts for the format.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { publishedName, reachableModels } from "#shared/api/openapi/models.ts";
import { builtInKinds } from "#shared/api/schema/facts.ts";

/** Of a model and its fields by their names in JSON; the model's own stands under "". */
type Texts = Readonly<Record<string, string>>;

const target = join(import.meta.dir, "..", "..", "shared", "api", "openapi", "descriptions.generated.gz");
const modules = join(import.meta.dir, "..", "..", "node_modules");
const comment = String.raw`/\*\*\n((?:\s*\*(?!/).*\n)+)\s*\*/\n`;

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

const linesOf = (comment: string): string =>
  comment
    .replace(/^\s*\* ?/gm, "")
    .replace(/\n@deprecated\s*$/, "")
    .trim();

const textOf = (comment: string): string => linesOf(comment).replace(/\\([*/'"\\])/g, "$1");
/** In declarations only what would end the comment is quoted. */
const declaredTextOf = (comment: string): string => linesOf(comment).replace(/\\([*/])/g, "$1");

/**
 * kubernetes-models has them as upstream's documents do, those of fields that are models themselves too, but none of
 * `apiVersion` and `kind`.
 */
function fromDeclarations(): (model: string) => Texts {
  const declared = new Map<string, string>();
  for (const name of ["kubernetes-models", "@kubernetes-models/apimachinery"]) {
    const folder = join(modules, name);
    // All that is lost is part of the descriptions.
    if (!existsSync(folder)) console.warn(`descriptions: ${name} is not installed (npm ci): many fields stay without`);
    else for (const path of declarationFiles(folder)) declare(declared, readFileSync(path, "utf8"));
  }
  return (model) => descriptionsIn(declared.get(publishedName(model).split(/[.-]/).map(capitalized).join("")) ?? "");
}

function* declarationFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* declarationFiles(path);
    else if (entry.name.endsWith(".d.ts")) yield path;
  }
}

/** By the name that the model's interface or type is exported under: `io.k8s.api.core.v1.Pod` is `IoK8sApiCoreV1Pod`. */
function declare(declared: Map<string, string>, declaration: string): void {
  const alias = /\bas I?(IoK8s\w+)/.exec(declaration)?.[1];
  if (alias !== undefined) declared.set(alias, declaration);
}

const ofInterface = new RegExp(`(?:${comment})?export interface I\\w+(?: extends [^{]*)? \\{\n((?:.*\n)*?)\\}`);
const ofType = new RegExp(`${comment}export type I?\\w+ =`);
const ofField = new RegExp(`${comment}\\s+"([^"]+)"\\??:`, "g");

function descriptionsIn(declaration: string): Texts {
  const whole = ofInterface.exec(declaration);
  const own = whole?.[1] ?? ofType.exec(declaration)?.[1];
  const fields = [...(whole?.[2] ?? "").matchAll(ofField)].map(([, lines = "", name = ""]) => [
    name,
    declaredTextOf(lines),
  ]);
  return { ...(own === undefined ? {} : { "": declaredTextOf(own) }), ...Object.fromEntries(fields) };
}

/** The client for Node has a class for each kind; fields that are models themselves have no description of their own. */
function fromClasses(): (model: string) => Texts {
  const folder = join(dirname(Bun.resolveSync("@kubernetes/client-node", import.meta.dir)), "gen", "models");
  return (model) => {
    const className = classNames(model).find((name) => existsSync(join(folder, `${name}.d.ts`)));
    return className === undefined ? {} : descriptionsOf(join(folder, className));
  };
}

/**
 * Fields of options are parameters of the package's methods, so a method's request tells of them: connecting ones by the
 * name of the options, others by what the method does.
 */
function fromRequests(): (model: string) => Texts {
  const folder = join(dirname(Bun.resolveSync("@kubernetes/client-node", import.meta.dir)), "gen", "types");
  const declarations = readFileSync(join(folder, "ObjectParamAPI.d.ts"), "utf8");
  const texts = new Map<string, Record<string, string>>();
  for (const [, method = "", fields = ""] of declarations.matchAll(ofRequest)) {
    const found = Object.fromEntries(
      [...fields.matchAll(ofRequestField)].map(([, lines = "", name = ""]) => [name, requestTextOf(lines)]),
    );
    const { pretty, name, namespace: _, body: __, ...further } = found;
    // Beside the path that these connect to stands the one that all of the kind take.
    const options = method.endsWith("WithPath") ? undefined : optionsOf(method, name ?? "");
    if (options === undefined) continue;
    Object.assign(
      texts.getOrInsertComputed(options, () => ({})),
      further,
    );
    if (pretty !== undefined) texts.set(metaOptions("Options"), { pretty });
  }
  return (model) => texts.get(model) ?? {};
}

const ofRequest = /export interface \w+?V\d\w*?Api(\w+)Request \{\n([\s\S]*?)\n\}/g;
/** Words of the language have a line before them. */
const ofRequestField = new RegExp(`${comment}\\s+_?(\\w+)\\??:`, "g");
const entities: Readonly<Record<string, string>> = { quot: '"', lt: "<", gt: ">", amp: "&" };
const requestTextOf = (lines: string): string =>
  textOf(lines.replace(/\n\s*\* Defaults to: [\s\S]*$/, "\n")).replace(
    /\\?&(?:#(x?\w+)|(quot|lt|gt|amp));/g,
    (_, code: string | undefined, name: string) =>
      code === undefined ? (entities[name] ?? "") : String.fromCodePoint(Number(code.replace(/^x/, "0x"))),
  );
const metaOptions = (kind: string): string => `apimachinery.pkg.apis.meta.v1.${kind}`;

function optionsOf(method: string, nameText: string): string | undefined {
  if (method.startsWith("Connect")) return `api.core.v1.${nameText.replace("name of the ", "")}`;
  if (method === "ReadNamespacedPodLog") return "api.core.v1.PodLogOptions";
  const kind = [
    ["List", "ListOptions"],
    ["Create", "CreateOptions"],
    ["Patch", "PatchOptions"],
  ].find(([verb = ""]) => method.startsWith(verb))?.[1];
  return kind === undefined ? undefined : metaOptions(kind);
}

/** Names under which the package may have a model: those of several groups carry the group in front. */
function classNames(model: string): string[] {
  const [group = "", version = "", name = ""] = model.split(".").slice(-3);
  const plain = capitalized(version) + name;
  return [capitalized(group) + plain, plain];
}

function descriptionsOf(path: string): Texts {
  const jsonNames = new Map(
    [...readFileSync(`${path}.js`, "utf8").matchAll(/"name": "(.+?)",\s*"baseName": "(.+?)"/g)].map(
      ([, name = "", jsonName = ""]) => [name, jsonName],
    ),
  );
  const found: Record<string, string> = {};
  const described = new RegExp(`${comment}(?:export declare class (\\w+)|\\s+'(.+?)'\\??:)`, "g");
  for (const [, lines = "", className, field = ""] of readFileSync(`${path}.d.ts`, "utf8").matchAll(described)) {
    const name = className === undefined ? jsonNames.get(field) : "";
    if (name !== undefined) found[name] = textOf(lines);
  }
  return found;
}

const declarations = fromDeclarations();
/** Of a version that the package has no more: of most fields the stable one says the same. */
const ofStable = (model: string): Texts => declarations(model.replace(/\.v\d+(alpha|beta)\d+\./, ".v1."));
// The later win.
const sources = [fromRequests(), ofStable, fromClasses(), declarations];
const furtherModels = ["apimachinery.pkg.version.Info", "apimachinery.pkg.apis.meta.v1.Patch"];
const models = reachableModels([...[...builtInKinds()].map((kind) => kind.model), ...furtherModels]);
let text = "\n";
let missing = 0;
for (const model of [...models, metaOptions("Options")]) {
  const found: Texts = Object.assign({}, ...sources.map((textsOf) => textsOf(model)));
  if (Object.keys(found).length === 0) missing++;
  else text += `${model}\t${JSON.stringify(found)}\n`;
}
writeFileSync(target, gzipSync(text, { level: 9 }));
console.log(`descriptions: ${text.length} characters, ${missing} models without`);
