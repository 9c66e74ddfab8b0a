/** OpenAPI documents in the form in which two servers' are held against each other. */
import { createDefinitions, definedPaths } from "./definitions.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export interface Documents {
  readonly v2: Json;
  /** By name, `apis/apps/v1`. */
  readonly v3: Readonly<Record<string, Json>>;
}

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;
type Members = { readonly [name: string]: Json };

/** All documents that a server publishes once it knows of the definition. */
export async function fetchDocuments(fetched: Fetch): Promise<Documents> {
  const read = async (path: string): Promise<Members> => (await (await fetched(path)).json()) as Members;
  await createDefinitions(fetched);
  // Upstream publishes some seconds later, each document on its own.
  for (const { document, path } of definedPaths) {
    for (const place of ["/openapi/v2", `/openapi/v3/${document}`]) {
      while (!(await (await fetched(place)).text()).includes(`"${path}"`)) await Bun.sleep(200);
    }
  }
  const v3: Record<string, Json> = {};
  const { paths } = await read("/openapi/v3");
  for (const [name, { serverRelativeURL }] of Object.entries(paths as Record<string, { serverRelativeURL: string }>)) {
    v3[name] = comparable(await read(serverRelativeURL));
  }
  return { v2: comparable(await read("/openapi/v2")), v3 };
}

/**
 * Texts of models and of parameters in queries, which come with the build, are told by their presence, and what needs
 * wrapping in OpenAPI 3 to stand beside a text is not wrapped. Parameters stand under place and name; where OpenAPI 2 keeps
 * them once for many operations they stand where they are referred to.
 */
export function comparable(document: Members): Json {
  const { parameters, ...rest } = document;
  return comparableValue(rest, { shared: (parameters ?? {}) as Members, under: "", ofBuild: false });
}

interface Position {
  readonly shared: Members;
  /** The keyword whose value this is; empty for a member with a name of the API's, and for an element. */
  readonly under: string;
  /** Whether a text here comes with the build. */
  readonly ofBuild: boolean;
}

/** Members under these have names of the API's, not keywords. */
const named = new Set(["properties", "definitions", "schemas", "paths", "parameters"]);
const ofModels = new Set(["definitions", "schemas"]);

function comparableValue(value: Json, position: Position): Json {
  const { shared, under } = position;
  if (Array.isArray(value)) {
    if (under === "parameters") return comparableValue(byPlace(value, shared), position);
    return value.map((each) => comparableValue(each, { ...position, under: "" }));
  }
  if (value === null || typeof value !== "object") return value;
  const members = value as Members;
  if (named.has(under)) {
    const ofBuild = position.ofBuild || ofModels.has(under);
    return mapped(members, (name, each) => {
      const isInQuery = under === "parameters" && name.startsWith("query ");
      return comparableValue(each, { shared, under: "", ofBuild: ofBuild || isInQuery });
    });
  }
  return mapped(unwrapped(members), (name, each) => {
    if (name === "description" && position.ofBuild) return each !== "";
    return comparableValue(each, { ...position, under: name });
  });
}

function mapped(members: Members, map: (name: string, value: Json) => Json): Members {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [name, map(name, value)]));
}

function unwrapped(schema: Members): Members {
  const { allOf, ...siblings } = schema;
  const [only, ...others] = Array.isArray(allOf) ? (allOf as readonly Members[]) : [];
  return only?.["$ref"] !== undefined && others.length === 0 ? { ...siblings, ...only } : schema;
}

function byPlace(parameters: readonly Json[], shared: Members): Members {
  return Object.fromEntries(
    parameters.map((each) => {
      const { $ref } = each as { readonly $ref?: string };
      const parameter = ($ref === undefined ? each : shared[$ref.replace("#/parameters/", "")]) as Members;
      return [`${parameter["in"]} ${parameter["name"]}`, parameter];
    }),
  );
}

/** Every place where two documents differ, and what stands there on both sides. */
export function* differing(upstream: Json | undefined, ours: Json | undefined, place = ""): Generator<Differing> {
  if (isMembers(upstream) && isMembers(ours)) {
    for (const name of new Set([...Object.keys(upstream), ...Object.keys(ours)])) {
      yield* differing(upstream[name], ours[name], `${place}|${name}`);
    }
  } else if (!Bun.deepEquals(upstream, ours)) yield { place, upstream, ours };
}

export interface Differing {
  readonly place: string;
  readonly upstream: Json | undefined;
  readonly ours: Json | undefined;
}

function isMembers(value: Json | undefined): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
