import type { KubeObject } from "./object.ts";

/** What marks the default StorageClass, now and once. */
export const defaultStorageClassAnnotations = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

/** The name of the object that one of the annotations marks as the default by "true"; of several, the newest, then the
 *  first by name. */
export function newestDefault(objects: readonly KubeObject[], annotations: readonly string[]): string | undefined {
  const created = ({ metadata }: KubeObject): number => Date.parse(metadata.creationTimestamp ?? "") || 0;
  const nameOf = ({ metadata }: KubeObject): string => metadata.name ?? "";
  return objects
    .filter(({ metadata }) => annotations.some((annotation) => metadata.annotations?.[annotation] === "true"))
    .sort((a, b) => created(b) - created(a) || (nameOf(a) < nameOf(b) ? -1 : 1))
    .map(nameOf)[0];
}
