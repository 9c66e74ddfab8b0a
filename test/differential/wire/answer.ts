import { parse as parseYaml } from "yaml";
import { type Fields, fieldsOfMessage } from "./protobuf-fields.ts";
import type { Json, WireRequest } from "./request.ts";

/** What of an answer is compared. */
export interface WireAnswer {
  /** 0: the connection broke, as it does where upstream panics. */
  readonly code: number;
  readonly type: string;
  /** Texts of `Warning: 299`. */
  readonly warnings?: readonly string[];
  /** JSON as a value, other types as text. */
  readonly body?: unknown;
}

/** Takes out what must differ: names that a server chose, times, revisions, allocated addresses and ports. */
export async function answerOf(
  response: Response | undefined,
  sent: string,
  { exact = false, isOrdered = false }: Pick<WireRequest, "exact" | "isOrdered"> = {},
): Promise<WireAnswer> {
  if (response === undefined) return { code: 0, type: "" };
  if (isOrdered) return orderedAnswer(response, sent);
  if (exact) return exactAnswer(response, sent);
  const text = await response.text();
  const type = (response.headers.get("content-type") ?? "").replace(/;\s*charset=utf-8/i, "");
  const warnings = warningsOf(response.headers.get("warning"));
  const body = text === "" ? text : /json/.test(type) ? parsed(text, sent) : unparsed(type, text, sent);
  return {
    code: response.status,
    type,
    ...(warnings.length > 0 && { warnings }),
    ...(text !== "" && { body }),
  };
}

/** With its nulls, which other answers are compared without. */
async function exactAnswer(response: Response, sent: string): Promise<WireAnswer> {
  const type = (response.headers.get("content-type") ?? "").replace(/;\s*charset=utf-8/i, "");
  const warnings = warningsOf(response.headers.get("warning"));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  const body = /protobuf/.test(type)
    ? withoutChosenFields(fieldsOfMessage(bytes.subarray(PROTOBUF_MARK_BYTES)) ?? [], sent)
    : /json/.test(type) && text !== ""
      ? withNulls(JSON.parse(text), sent)
      : withoutChoices(text, sent);
  return { code: response.status, type, ...(warnings.length > 0 && { warnings }), body };
}

/** JSON as text, with its nulls. */
async function orderedAnswer(response: Response, sent: string): Promise<WireAnswer> {
  const text = await response.text();
  const type = (response.headers.get("content-type") ?? "").replace(/;\s*charset=utf-8/i, "");
  const warnings = warningsOf(response.headers.get("warning"));
  const body = /json/.test(type) ? JSON.stringify(normalized(JSON.parse(text), "", sent, true)) : text;
  return { code: response.status, type, ...(warnings.length > 0 && { warnings }), body };
}

const PROTOBUF_MARK_BYTES = 4;

function withNulls(value: unknown, sent: string): unknown {
  const body = value as Json;
  if (body["kind"] === "Status" && body["apiVersion"] === "v1") return status(formless(body, sent));
  return withoutCredentials(normalized(body, "", sent, true));
}

/** In the order in which they were written, by the second; answers in JSON tell of them. */
const isManagedFields = ([field, value]: Fields[number]): boolean =>
  field === "17" && typeof value !== "string" && value.some(([, text]) => text === '"FieldsV1"');

/** Seconds of a time of these years are those of now. */
const isNow = (number: string): boolean => /^(1[7-9]|2[01])\d{8}$/.test(number);

/** Of a message, without what a server chose. */
export function withoutChosenFields(fields: Fields, sent: string): unknown {
  return fields
    .filter((each) => !isManagedFields(each))
    .map(([field, value]) => {
      if (typeof value !== "string") return [field, withoutChosenFields(value, sent)];
      if (isNow(value)) return [field, "TIME"];
      if (/^"\d+"$/.test(value) && !sent.includes(value)) return [field, "REVISION"];
      return [field, withoutChoices(value, sent)];
    });
}

/** YAML by its value: the order of its keys is nobody's business. */
const unparsed = (type: string, text: string, sent: string): unknown =>
  /yaml/.test(type) ? formless(parseYaml(text), sent) : withoutChoices(text, sent);

/** A value without what a server chose, but for what stands in `sent`. */
export const comparable = (value: unknown, sent: string): unknown => {
  const body = formless(value, sent);
  return body !== null && body["kind"] === "Status" && body["apiVersion"] === "v1" ? status(body) : body;
};

const formless = (value: unknown, sent: string): Json =>
  withoutMoment(withoutCredentials(normalized(value, "", sent)) as Json);

const warningsOf = (header: string | null): string[] =>
  [...(header ?? "").matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text).sort();

function parsed(text: string, sent: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return events(text, sent);
  }
  if (isEvent(value)) return events(text, sent);
  return comparable(value, sent);
}

const isEvent = (value: unknown): boolean =>
  value !== null && typeof value === "object" && Object.keys(value).join() === "type,object";

/** A watch: a document a line. In what order objects that are there at its start come is nobody's business. */
function events(text: string, sent: string): unknown {
  const lines = text.split("\n").filter((line) => line !== "");
  try {
    const values = lines.map((line) => {
      const { object, ...rest } = JSON.parse(line) as Json;
      return { ...rest, ...(object !== undefined && { object: formless(object, sent) }) };
    });
    return values.map((value) => JSON.stringify(sortedKeys(value))).sort();
  } catch {
    return text;
  }
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortedKeys(item)]));
}

/** Ages in the cells of a table are of the moment; what describes a column differs on purpose (`differences.ts`). */
function withoutMoment(body: Json): Json {
  if (body === null || typeof body !== "object" || body["kind"] !== "Table") return body;
  const { columnDefinitions, rows, ...rest } = body as Json & { columnDefinitions?: Json[]; rows?: Json[] };
  return {
    ...rest,
    columnDefinitions: columnDefinitions?.map(({ description: _, ...column }) => column),
    rows: rows?.map((row) => ({ ...row, cells: (row["cells"] as unknown[]).map(withoutAge) })),
  };
}

/** Upstream was asked by somebody with a token, ours by somebody with a certificate. */
function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials);
  if (value === null || typeof value !== "object") return value;
  const parts = Object.entries(value).map(([key, item]) => [key, withoutCredentials(item)]);
  const object = Object.fromEntries(parts) as Json & { spec?: Json };
  if (!object.spec?.["signerName"]) return object;
  const { uid: _, extra: __, ...spec } = object.spec;
  return { ...object, spec };
}

const withoutAge = (cell: unknown): unknown =>
  typeof cell === "string"
    ? cell.replace(/^(\d+[smhdy])+$/, "AGE").replace(/\((\d+[smhdy])+ ago\)/g, "(AGE ago)")
    : cell;

/** The message of an Invalid lists its causes again, in an order of its own. */
function status(body: Json): Json {
  const details = body["details"] as { causes?: { message?: string }[] } | undefined;
  if (body["reason"] !== "Invalid" || !details?.causes) return body;
  const causes = details.causes.map((cause) => ({ ...cause, message: firstLine(cause.message ?? "") }));
  const lines = [...new Set(causes.map((cause) => JSON.stringify(cause)))].sort();
  return { ...body, message: "", details: { ...details, causes: lines.map((line) => JSON.parse(line)) } };
}

/** Behind the first line stand differences for people, in a form of upstream's own. */
function firstLine(message: string): string {
  // The whole patched object, revisions and times included.
  const line = (message.split("\n")[0] ?? "").replace(/^Invalid value: "\{.*\}": /, 'Invalid value: "{…}": ');
  // Upstream prints a whole struct by the names of its Go fields.
  return line.includes("{") && /: (field is immutable|spec is immutable)/.test(line)
    ? line.replace(/\{.*\}/, "{…}")
    : line;
}

function writerOf(entry: unknown): string {
  const { manager, operation, apiVersion, subresource } = entry as Json;
  return JSON.stringify([manager, operation, apiVersion, subresource]);
}

const chosen: Readonly<Record<string, string>> = {
  uid: "UID",
  resourceVersion: "REVISION",
  time: "TIME",
  continue: "CONTINUE",
};
/** Of the ConfigMap that tells since when long-lived tokens are watched: the server's first day. */
const isFirstDay = (key: string, value: string): boolean => key === "since" && /^20\d\d-\d\d-\d\d$/.test(value);

function normalized(value: unknown, key: string, sent: string, keepsNulls = false): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => normalized(item, key, sent, keepsNulls));
    // Ordered by the second in which each manager wrote last.
    return key === "managedFields" ? items.sort((a, b) => (writerOf(a) < writerOf(b) ? -1 : 1)) : items;
  }
  if (value !== null && typeof value === "object") {
    // Go writes some absent values as null; a client cannot tell one from the other.
    const entries = Object.entries(value)
      .filter(([, item]) => keepsNulls || item !== null)
      .map(([name, item]) => [withoutChoices(name, sent), normalized(item, name, sent, keepsNulls)]);
    return Object.fromEntries(entries);
  }
  if (typeof value === "number" && /^(nodePort|healthCheckNodePort)$/.test(key) && !sent.includes(String(value)))
    return "PORT";
  if (typeof value !== "string") return value;
  const placeholder = chosen[key];
  if (placeholder && value !== "" && !sent.includes(JSON.stringify(value))) return placeholder;
  if (isFirstDay(key, value)) return "DATE";
  return withoutChoices(value, sent);
}

const uuid = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;
const time = /\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\b/g;
/** Of the cluster's range, and of the one that the sample of a ServiceCIDR adds. */
const serviceAddress = /\b10\.(43|99)\.\d+\.\d+(?![\d/])/g;

function withoutChoices(text: string, sent: string): string {
  const unless =
    (placeholder: string) =>
    (found: string): string =>
      sent.includes(found) ? found : placeholder;
  return (
    text
      .replace(uuid, unless("UID"))
      .replace(time, unless("TIME"))
      .replace(serviceAddress, unless("SERVICE-ADDRESS"))
      .replace(/\bkube-api-access-[a-z0-9]{5}\b/g, "kube-api-access-NAME")
      .replace(/(current: |in record \(|in object meta: )\d+/g, "$1REVISION")
      // Where upstream keeps an object.
      .replace(/\bKey: [^,]+,/g, "Key: …,")
      // A port that a server chose, in a row of a table.
      .replace(/(?<=\b\d+:)3[0-2]\d{3}(?=\/(?:TCP|UDP|SCTP)\b)/g, unless("PORT"))
      .replace(/\b(generated-|g{58})[a-z0-9]{5}\b/g, "$1NAME")
      // Where this server is reached; its port is a free one.
      .replace(/^127\.0\.0\.1:\d+$/, "SERVER-ADDRESS")
      .replace(/\b0x[0-9a-f]{6,}\b/g, "POINTER")
      .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, unless("TOKEN"))
  );
}
