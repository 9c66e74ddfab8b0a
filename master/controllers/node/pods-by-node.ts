import type { Pod } from "#shared/api/types/core-v1.generated.ts";

/** Index of pods by the node that they are bound to: `lister(pods).byIndex("node", name)`. */
export const podsByNode = {
  node: ({ spec }: Pod): readonly string[] => (spec?.nodeName ? [spec.nodeName] : []),
};
