/** Where Bramble's documents are others than upstream's, on purpose. */
import type { OpenApiAnswer } from "./requests.ts";

export interface Difference {
  readonly reason: string;
  readonly places: RegExp;
}

/** Places are those of `differing`. */
export const differences: readonly Difference[] = [
  {
    reason: "boards are resources of Bramble's own",
    places:
      /^\|v3\|apis\/bramble\.dev\/v1$|^\|v2\|paths\|\/apis\/bramble\.dev\/[^|]*$|^\|v2\|definitions\|dev\.bramble\.[^|]*$/,
  },
  {
    reason: "metrics are built in",
    places:
      /^\|v3\|apis\/metrics\.k8s\.io(\/v1beta1)?$|^\|v2\|paths\|\/apis\/metrics\.k8s\.io\/[^|]*$|^\|v2\|definitions\|io\.k8s\.(metrics|apimachinery\.pkg\.apis\.meta\.v1\.Duration$)[^|]*$/,
  },
  {
    reason:
      "the packages that texts come from are of another version, or tell of what upstream's documents say nothing of",
    places: /\.(Quantity|PodSpec\|properties\|workloadRef|JSONSchemaProps\|properties\|\w+)\|description$/,
  },
];

export interface AnswerDifference {
  readonly reason: string;
  /** What was asked. */
  readonly asked: RegExp;
  /** An answer of ours without the difference. */
  readonly without: (answer: OpenApiAnswer) => OpenApiAnswer;
}

export const answerDifferences: readonly AnswerDifference[] = [
  {
    reason: "a part is of what would be sent whole; upstream sends another thing, that part compressed",
    asked: /^GET \/openapi\/v2 range bytes=0-4999 accept-encoding gzip$/,
    without: ({ headers, ...answer }) => ({ ...answer, headers: { ...headers, "content-encoding": "gzip" } }),
  },
  {
    reason: "documents are kept compressed, and go so to whoever takes that",
    asked: /^\w+ \/openapi\/v3\/apis\/apps\/v1( |\?|$)/,
    without: ({ headers: { "content-encoding": _, ...headers }, ...answer }) => ({
      ...answer,
      headers: { ...headers, vary: (headers["vary"] ?? "").replace("Accept-Encoding, ", "") },
    }),
  },
];
