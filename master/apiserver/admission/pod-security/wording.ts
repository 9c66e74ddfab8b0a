import type { Container, PodSpec } from "#shared/api/types/core-v1.generated.ts";

/** Init, ordinary and ephemeral containers, in that order. */
export const containersOf = ({ initContainers, containers, ephemeralContainers }: PodSpec): Container[] => [
  ...(initContainers ?? []),
  ...(containers ?? []),
  ...((ephemeralContainers ?? []) as Container[]),
];

export const pluralize = (noun: string, count: number): string => (count === 1 ? noun : `${noun}s`);

export const joinQuoted = (items: readonly string[]): string => items.map((item) => `"${item}"`).join(", ");

/** `container "a"`, `containers "a", "b"` */
export const named = (noun: string, names: readonly string[]): string =>
  `${pluralize(noun, names.length)} ${joinQuoted(names)}`;

export const sorted = (values: Iterable<string>): string[] => [...values].sort();
