/**
 * The bridge between client-side and server-side apply of kubectl: its annotation tells what it had applied, so that the
 * first server-side apply does not conflict with that, and stays up to date afterwards.
 */
import { goJson, isJsonObject, type JsonObject } from "../patch/json-value.ts";
import { compare } from "./compare.ts";
import { toFieldSet } from "./extract.ts";
import type { FieldSet } from "./field-set.ts";
import type { Atom } from "./typed-schema.ts";
import { typeProblems } from "./validate.ts";

const annotation = "kubectl.kubernetes.io/last-applied-configuration";
const annotationsBytesMax = 256 * 1024;

/** Fields that the annotation says are kubectl's and that still are as it applied them; undefined without a usable one. */
export function allowedByLastApplied(live: JsonObject, apiVersion: string, atom: Atom): FieldSet | undefined {
  const text = annotationsOf(live)?.[annotation];
  if (typeof text !== "string" || text === "") return undefined;
  let lastApplied: unknown;
  try {
    lastApplied = JSON.parse(text);
  } catch {
    // Somebody wrote something else there: no help, and the conflicts stand.
    return undefined;
  }
  if (!isJsonObject(lastApplied) || lastApplied["apiVersion"] !== apiVersion) return undefined;
  if (typeProblems(lastApplied, atom) !== undefined) return undefined;
  const { added, modified, removed } = compare(lastApplied, live, atom);
  return toFieldSet(lastApplied, atom).difference(modified).difference(added).difference(removed);
}

/** The object with the annotation, if it has one, brought up to the configuration that was applied. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const annotations = annotationsOf(object);
  if (!annotations?.[annotation]) return object;
  const updated: JsonObject = { ...annotations, [annotation]: lastAppliedText(config) };
  if (totalBytes(updated) > annotationsBytesMax) delete updated[annotation];
  return { ...object, metadata: { ...(object["metadata"] as JsonObject), annotations: updated } };
}

function annotationsOf(object: JsonObject): JsonObject | undefined {
  const { metadata } = object;
  const annotations = isJsonObject(metadata) ? metadata["annotations"] : undefined;
  return isJsonObject(annotations) ? annotations : undefined;
}

function totalBytes(annotations: JsonObject): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  return bytes;
}

/** The configuration as upstream's encoder writes it: sorted keys, HTML escaped, a final newline; without the annotation itself. */
function lastAppliedText(config: JsonObject): string {
  const annotations = annotationsOf(config);
  let bare = config;
  if (annotations) {
    const { [annotation]: _, ...rest } = annotations;
    bare = { ...config, metadata: { ...(config["metadata"] as JsonObject), annotations: rest } };
  }
  return `${goJson(bare)}\n`;
}
