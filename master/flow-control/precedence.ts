import type { FlowSchema } from "#shared/api/types/flowcontrol-v1.generated.ts";

const precedence = ({ spec }: FlowSchema): number => spec.matchingPrecedence ?? 1000;

/** In what order flow schemas are tried, and shown: the lower precedence first; then by name. */
export const byPrecedence = (a: FlowSchema, b: FlowSchema): number =>
  precedence(a) - precedence(b) || ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1);
