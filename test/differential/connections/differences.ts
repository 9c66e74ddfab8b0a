/** Answers that differ on purpose, and why. */
export const differences: Readonly<Record<string, string>> = {};
