/** Documents of OpenAPI 2 that other API servers publish: read, and left with what one group version needs. Pure. */
import { isJsonObject, type JsonObject } from "../patch/json-value.ts";

type Named = Readonly<Record<string, JsonObject>>;

/** Of a document of OpenAPI 2, what is merged with others. */
export interface ForeignDocument {
  readonly paths: Named;
  readonly definitions: Named;
  /** Those that operations refer to. */
  readonly parameters: Named;
}

/** Throws on what is no such document, wherever somebody would stumble over it later. */
export function foreignDocument(value: unknown): ForeignDocument & JsonObject {
  if (!isJsonObject(value)) throw new TypeError("the document is no object");
  const { paths = {}, definitions = {}, parameters = {} } = value;
  checkNamed(isJsonObject(paths) ? withoutExtensions(paths) : paths, "paths", checkPathItem);
  checkNamed(definitions, "definitions", checkSchema);
  checkNamed(parameters, "parameters", checkParameter);
  return { ...value, paths: paths as Named, definitions: definitions as Named, parameters: parameters as Named };
}

const isExtension = (name: string): boolean => name.startsWith("x-");

export const extensionsOf = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([name]) => isExtension(name)));

export const withoutExtensions = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !isExtension(name)));

type Check = (value: JsonObject, place: string) => void;

function checkObject(value: unknown, place: string, check: Check): void {
  if (!isJsonObject(value)) throw new TypeError(`${place} is no object`);
  check(value, place);
}

function checkNamed(value: unknown, place: string, check: Check): void {
  checkObject(value, place, (members) => {
    for (const [name, member] of Object.entries(members)) checkObject(member, `${place}.${name}`, check);
  });
}

function checkEach(value: unknown, place: string, check: Check): void {
  if (!Array.isArray(value)) throw new TypeError(`${place} is no list`);
  for (const [index, each] of value.entries()) checkObject(each, `${place}[${index}]`, check);
}

const methods = ["get", "put", "post", "delete", "options", "head", "patch"];

const checkPathItem: Check = (item, place) => {
  for (const method of methods) {
    if (item[method] !== undefined) checkObject(item[method], `${place}.${method}`, checkOperation);
  }
  if (item["parameters"] !== undefined) checkEach(item["parameters"], `${place}.parameters`, checkParameter);
};

const checkOperation: Check = ({ parameters, responses }, place) => {
  if (parameters !== undefined) checkEach(parameters, `${place}.parameters`, checkParameter);
  if (responses === undefined) return;
  const named = isJsonObject(responses) ? withoutExtensions(responses) : responses;
  checkNamed(named, `${place}.responses`, checkWithSchema);
};

const checkWithSchema: Check = ({ schema }, place) => {
  if (schema !== undefined) checkObject(schema, `${place}.schema`, checkSchema);
};

const checkParameter = checkWithSchema;

const checkSchema: Check = (schema, place) => {
  const { properties, items, additionalProperties, allOf } = schema;
  if (properties !== undefined) checkNamed(properties, `${place}.properties`, checkSchema);
  if (allOf !== undefined) checkEach(allOf, `${place}.allOf`, checkSchema);
  if (Array.isArray(items)) checkEach(items, `${place}.items`, checkSchema);
  else if (items !== undefined) checkObject(items, `${place}.items`, checkSchema);
  if (additionalProperties !== undefined && typeof additionalProperties !== "boolean") {
    checkObject(additionalProperties, `${place}.additionalProperties`, checkSchema);
  }
};

/**
 * The document with those of its paths that are kept, and without the definitions that only others needed; those that
 * nothing needed stay, as upstream has it.
 */
export function withPaths(document: ForeignDocument, isKept: (path: string) => boolean): ForeignDocument {
  const paths = Object.fromEntries(Object.entries(document.paths).filter(([path]) => isKept(path)));
  const neededBefore = neededDefinitions(document, document.paths);
  const needed = neededDefinitions(document, paths);
  const definitions = Object.fromEntries(
    Object.entries(document.definitions).filter(([name]) => needed.has(name) || !neededBefore.has(name)),
  );
  return { paths, definitions, parameters: document.parameters };
}

const toDefinition = "#/definitions/";
const toParameter = "#/parameters/";

/** Names of the definitions that paths lead to, through parameters and other definitions too. */
function neededDefinitions({ definitions, parameters }: ForeignDocument, paths: Named): Set<string> {
  const needed = new Set<string>();
  const waiting: unknown[] = [paths];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const reference of referencesIn(next)) {
      const parameter = parameters[reference.slice(toParameter.length)];
      if (reference.startsWith(toParameter) && parameter) waiting.push(parameter);
      const name = reference.slice(toDefinition.length);
      if (!reference.startsWith(toDefinition) || needed.has(name)) continue;
      needed.add(name);
      if (definitions[name]) waiting.push(definitions[name]);
    }
  }
  return needed;
}

function* referencesIn(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === "$ref" && typeof member === "string") yield member;
    else yield* referencesIn(member);
  }
}

/** The value with its references to definitions and parameters renamed. */
export function withReferences<T>(value: T, renamed: ReadonlyMap<string, string>): T {
  if (renamed.size === 0 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => withReferences(each as unknown, renamed)) as T;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === "$ref" && typeof member === "string"
        ? (renamed.get(member) ?? member)
        : withReferences(member as unknown, renamed),
    ]),
  ) as T;
}

/** A reference as it stands in a document, by what it is to and the name there. */
export const referenceTo = { definitions: toDefinition, parameters: toParameter } as const;
