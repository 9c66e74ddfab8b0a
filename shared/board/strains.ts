/** Conditions of a Node that tell of its board's supply and heat; a board that does not measure one has no such condition. */
export const strainTypes = ["Undervoltage", "Throttled", "Overheated"] as const;
export type StrainType = (typeof strainTypes)[number];

/** The taint that follows the condition, where the cluster wants one. */
export const strainTaint = (type: StrainType): string => `bramble.dev/${type.toLowerCase()}`;
