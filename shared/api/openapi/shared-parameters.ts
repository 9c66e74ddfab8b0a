/** Parameters that many operations of a document of OpenAPI 2 take: it has each once, and refers to it. */
import type { JsonObject } from "./models.ts";

const genericModels = "#/definitions/io.k8s.apimachinery";
/** kubectl before 1.28 looks for these where they are taken. */
const unshared = new Set(["dryRun", "fieldValidation"]);

export class SharedParameters {
  readonly #parameters = new Map<string, JsonObject>();
  readonly #references = new Map<string, JsonObject>();

  /** By the names that are referred to. */
  entries(): Iterable<[name: string, parameter: JsonObject]> {
    return this.#parameters;
  }

  /** The parameter, or a reference to it. Names are upstream's: the parameter's own, and a hash of what it says. */
  sharing(parameter: JsonObject): JsonObject {
    if (!isGeneric(parameter)) return parameter;
    const text = JSON.stringify(parameter);
    const known = this.#references.get(text);
    if (known) return known;
    const name = `${parameter["name"]}-${hash(text)}`;
    const referring = { $ref: `#/parameters/${name}` };
    this.#parameters.set(name, parameter);
    this.#references.set(text, referring);
    return referring;
  }
}

function isGeneric(parameter: JsonObject): boolean {
  const { name, in: place } = parameter as { name: string; in: string };
  if (place === "body") return (parameter["schema"] as { $ref: string }).$ref.startsWith(genericModels);
  // It tells the kind.
  if (name === "name") return false;
  return place !== "query" || !unshared.has(name);
}

/** The first six bytes of FNV-1 in 64 bits. */
function hash(text: string): string {
  let value = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) value = BigInt.asUintN(64, value * 0x100000001b3n) ^ BigInt(byte);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes.subarray(0, 6).toString("base64url");
}
