/** Where Bramble answers otherwise on purpose. Everything else is as upstream's, or stands in gaps.json.br. */
import type { WireAnswer } from "./answer.ts";
import type { WireRequest } from "./request.ts";

export interface Difference {
  readonly reason: string;
  /** Whether this is why these two differ. */
  explains(request: WireRequest, upstream: WireAnswer, ours: WireAnswer): boolean;
}

/** What Bramble's API server does itself: upstream's controller manager writes the type checking of a policy. */
function withoutTypeChecking(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTypeChecking);
  if (value === null || typeof value !== "object") return value;
  const { status, managedFields, ...rest } = value as Record<string, unknown>;
  const isChecking = (each: unknown): boolean => /"(f:)?typeChecking"/.test(JSON.stringify(each ?? ""));
  return {
    ...Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, withoutTypeChecking(item)])),
    ...(status !== undefined && !isChecking(status) && { status }),
    ...(Array.isArray(managedFields) && { managedFields: managedFields.filter((each) => !isChecking(each)) }),
  };
}

function sortedCauses(answer: unknown): unknown {
  const { causes, ...details } = (answer as { body?: { details?: { causes?: unknown[] } } }).body?.details ?? {};
  const texts = [...new Set((causes ?? []).map((cause) => JSON.stringify(cause)))].sort();
  return { ...(answer as WireAnswer), body: { ...((answer as WireAnswer).body as object), details, causes: texts } };
}

const without = (answer: WireAnswer, pattern: RegExp): unknown =>
  JSON.parse(JSON.stringify(answer).replace(pattern, "…"));

/** Without the empty lists where upstream, which writes null there, has nothing. */
function withoutAddedLists(ours: unknown, upstream: unknown): unknown {
  if (Array.isArray(ours)) {
    return ours.map((each, index) => withoutAddedLists(each, Array.isArray(upstream) ? upstream[index] : undefined));
  }
  if (ours === null || typeof ours !== "object") return ours;
  const there = (typeof upstream === "object" && upstream !== null ? upstream : {}) as Readonly<
    Record<string, unknown>
  >;
  return Object.fromEntries(
    Object.entries(ours)
      .filter(([key, value]) => key in there || !(Array.isArray(value) && value.length === 0))
      .map(([key, value]) => [key, withoutAddedLists(value, there[key])]),
  );
}

export const differences: readonly Difference[] = [
  {
    reason:
      "A list that every object of its kind has stays a list when it is empty; Go writes null, and its clients read either.",
    explains: (_, upstream, ours) => Bun.deepEquals(withoutAddedLists(ours, upstream), upstream),
  },
  {
    reason: "Upstream panics on a few objects and breaks the connection; Bramble answers.",
    explains: (_, upstream, ours) => upstream.code === 0 && ours.code > 0 && ours.code !== 500,
  },
  {
    reason: "The text after `cannot unmarshal` names types and embedded structs of upstream's Go source.",
    explains: (_, upstream, ours) => {
      const goNames = /into Go (?:struct field|value of type) .*?(?=\\?")/g;
      return Bun.deepEquals(without(upstream, goNames), without(ours, goNames));
    },
  },
  {
    reason: "Upstream's controller manager checks the types of policies, and there is none beside the recorded server.",
    explains: (_, upstream, ours) => Bun.deepEquals(withoutTypeChecking(upstream), withoutTypeChecking(ours)),
  },
  {
    reason: "What a parser of CEL or YAML expected instead; the place is told alike.",
    explains: (_, upstream, ours) => {
      const expected = /(?:Syntax error: |yaml: ).*?(?=\\n|\\?")/g;
      return Bun.deepEquals(without(upstream, expected), without(ours, expected));
    },
  },
  {
    reason:
      "A whole structure in an error's text: by the names of upstream's internal types, which has nil beside empty.",
    explains: (_, upstream, ours) => {
      const structure = /value: (?:null|\[\]|[[{].*?[\]}])(?=: |[,"])/g;
      return Bun.deepEquals(sortedCauses(without(upstream, structure)), sortedCauses(without(ours, structure)));
    },
  },
  {
    reason: "The byte at which base64 text is found wrong; Go's decoder counts in groups of four.",
    explains: (_, upstream, ours) => {
      const byte = /illegal base64 data at input byte \d+/g;
      return Bun.deepEquals(without(upstream, byte), without(ours, byte));
    },
  },
];
