/** Where Bramble answers otherwise on purpose. Everything else is as upstream's, or stands in gaps.json.br. */
import type { WireAnswer } from "./answer.ts";
import type { WireRequest } from "./request.ts";

export interface Difference {
  readonly reason: string;
  /** Whether this is why these two differ. */
  explains(request: WireRequest, upstream: WireAnswer, ours: WireAnswer): boolean;
}

const without = (answer: WireAnswer, pattern: RegExp): unknown =>
  JSON.parse(JSON.stringify(answer).replace(pattern, "…"));

export const differences: readonly Difference[] = [
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
    reason: "The byte at which base64 text is found wrong; Go's decoder counts in groups of four.",
    explains: (_, upstream, ours) => {
      const byte = /illegal base64 data at input byte \d+/g;
      return Bun.deepEquals(without(upstream, byte), without(ours, byte));
    },
  },
];
