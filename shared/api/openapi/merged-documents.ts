/**
 * Documents of other API servers merged into ours of OpenAPI 2, as upstream's aggregator does it: what a path, a model or a
 * parameter of ours is called stays as it is, another one of that name gets a name of its own. Pure.
 */
import { equalJson } from "../patch/json-value.ts";
import type { Member } from "./documents.ts";
import { type ForeignDocument, referenceTo, withPaths, withReferences } from "./foreign-document.ts";
import type { JsonObject } from "./models.ts";

/** What our own document is made of. */
export interface OwnMembers {
  readonly paths: Iterable<string>;
  readonly models: readonly Member[];
  readonly parameters: Iterable<readonly [name: string, parameter: JsonObject]>;
}

export interface MergedMembers {
  /** Of the other servers. */
  readonly paths: readonly Member[];
  readonly models: readonly Member[];
  readonly parameters: readonly Member[];
}

const gvkKey = "x-kubernetes-group-version-kind";

/** Those that come first win. */
export function mergedMembers(own: OwnMembers, documents: readonly ForeignDocument[]): MergedMembers {
  const ownPaths = new Set(own.paths);
  const paths = new Map<string, JsonObject>();
  const models = new Merging(own.models.map((member) => [member.name, () => plain(member.render())]));
  const parameters = new Merging([...own.parameters].map(([name, parameter]) => [name, () => parameter]));
  for (const each of documents) {
    const isNew = (path: string): boolean => !ownPaths.has(path) && !paths.has(path);
    const news = Object.keys(each.paths);
    if (!news.some(isNew)) continue;
    const document = news.every(isNew) ? each : withPaths(each, isNew);
    const modelNames = models.namesFor(document.definitions, isAlike);
    const parameterNames = parameters.namesFor(document.parameters, equalJson);
    const renamed = new Map([
      ...referencesOf(modelNames, referenceTo.definitions),
      ...referencesOf(parameterNames, referenceTo.parameters),
    ]);
    models.add(withReferences(document.definitions, renamed), modelNames, withKindsOf);
    parameters.add(withReferences(document.parameters, renamed), parameterNames, (present) => present);
    for (const [path, item] of Object.entries(document.paths)) paths.set(path, withReferences(item, renamed));
  }
  return {
    paths: [...paths].map(([name, item]) => ({ name, render: () => item })),
    models: models.members(),
    parameters: parameters.members(),
  };
}

/** As it is sent: without members that are undefined. */
const plain = (value: JsonObject): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

type Names = ReadonlyMap<string, string>;

const referencesOf = (names: Names, prefix: string): [string, string][] =>
  [...names].map(([name, other]) => [prefix + name, prefix + other]);

/** Values under names, where others come to that may have the same. */
class Merging {
  readonly #present: Map<string, () => JsonObject>;

  constructor(own: Iterable<readonly [string, () => JsonObject]>) {
    this.#present = new Map(own);
  }

  /** New names for those whose own is another's: `NAME_v2`, or the name that an equal one got before. */
  namesFor(
    values: Readonly<Record<string, JsonObject>>,
    isSame: (a: JsonObject, b: JsonObject) => boolean,
  ): Map<string, string> {
    const names = new Map<string, string>();
    const taken = new Set<string>();
    for (const [name, value] of Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1))) {
      for (let version = 1; ; version += 1) {
        const candidate = version === 1 ? name : `${name}_v${version}`;
        const present = this.#present.get(candidate);
        const isFree = !present && (version === 1 || !(taken.has(candidate) || Object.hasOwn(values, candidate)));
        if (!isFree && !(present && isSame(present(), value))) continue;
        if (version > 1) names.set(name, candidate);
        if (isFree) taken.add(candidate);
        break;
      }
    }
    return names;
  }

  /** `together` makes one of the present value and an equal one. */
  add(
    values: Readonly<Record<string, JsonObject>>,
    names: Names,
    together: (present: JsonObject, value: JsonObject) => JsonObject,
  ): void {
    for (const [name, value] of Object.entries(values)) {
      const under = names.get(name) ?? name;
      const present = this.#present.get(under);
      const merged = present ? together(present(), value) : value;
      this.#present.set(under, () => merged);
    }
  }

  members(): Member[] {
    return [...this.#present].map(([name, render]) => ({ name, render }));
  }
}

/** Whether two models are the same, but for the kinds that they are of. */
function isAlike(one: JsonObject, other: JsonObject): boolean {
  const { [gvkKey]: _, ...a } = one;
  const { [gvkKey]: __, ...b } = other;
  return equalJson(a, b);
}

/** Documents tell which kinds a model is of: those of either, in order. */
function withKindsOf(present: JsonObject, value: JsonObject): JsonObject {
  const kinds = new Map(kindsOf(present));
  const more = kindsOf(value).filter(([name]) => !kinds.has(name));
  if (more.length === 0) return present;
  const all = kinds.size === 0 ? more : [...kinds, ...more].sort(([one], [other]) => (one < other ? -1 : 1));
  return { ...present, [gvkKey]: all.map(([, kind]) => kind) };
}

function kindsOf(model: JsonObject): [name: string, kind: JsonObject][] {
  const kinds = model[gvkKey];
  if (!Array.isArray(kinds)) return [];
  return (kinds as JsonObject[]).map((kind) => [`${kind["group"]}/${kind["version"]}.${kind["kind"]}`, kind]);
}
