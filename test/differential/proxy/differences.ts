/** Where Bramble answers otherwise than upstream, on purpose. */
import type { RawAnswer } from "./raw-request.ts";

export interface Difference {
  readonly reason: string;
  readonly asked: RegExp;
  /** What is compared all the same. */
  readonly of: (answer: RawAnswer | undefined) => unknown;
}

const withoutHeaders =
  (...unseen: readonly string[]) =>
  (answer: RawAnswer | undefined): unknown => ({
    ...answer,
    headers: answer?.headers.filter((line) => !unseen.some((start) => line.startsWith(start))),
  });

const status = (answer: RawAnswer | undefined): unknown => answer?.status;

export const differences: readonly Difference[] = [
  {
    reason: "what is of a type that nobody told stays so: Go looks at the first bytes and guesses",
    asked: /proxy\/(to-\w+|hops)$/,
    of: withoutHeaders("content-type: text/plain; charset=utf-8"),
  },
  {
    reason: "the path behind goes on as the client sent it: upstream unescapes it, and joins it anew",
    asked: /proxy(\/\/x|\/x\/\/y\/|\/a%2Fb\S+|\/x\/\.\.\/y|\/%2e%2e\/x)$/,
    of: status,
  },
  {
    reason: "a page goes on as it comes, so its new length is not known ahead",
    asked: /proxy\/page(-missing)?$/,
    of: withoutHeaders("content-length"),
  },
  {
    reason: "what a server compresses unasked is passed on so; compressed bytes are another program's",
    asked: /proxy\/page-in-gzip/,
    of: status,
  },
  {
    reason:
      "what is wrong with an answer is said in words of one's own, and that it is an internal error in the reason, too",
    asked:
      /proxy\/(garbage|upgrade)$|proxy(\/(garbage|ignore-upgrade|close|x))? \| Connection: Upgrade \| Upgrade: own$|https:web:PORT/,
    of: status,
  },
  {
    reason: "what follows a body is not passed on, so nobody is told that it may come",
    asked: /Te: trailers/,
    of: status,
  },
  { reason: "an empty redirect has a length", asked: /^HEAD \| \S+proxy$/, of: withoutHeaders("content-length") },
];
