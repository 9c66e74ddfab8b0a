import type { Pod } from "#shared/api/types/core-v1.generated.ts";

/** The pod has ended and will not run again: it needs no room. */
export const isTerminal = ({ status }: Pod): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";
