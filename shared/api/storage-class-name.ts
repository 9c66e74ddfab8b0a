import type { KubeObject } from "./object.ts";

/** How claims and volumes named their class before there was a field for it; it still wins where it is set. */
export const storageClassAnnotation = "volume.beta.kubernetes.io/storage-class";

/** A claim or a volume. */
interface OfClass {
  readonly metadata: KubeObject["metadata"];
  readonly spec?: { readonly storageClassName?: string | undefined } | undefined;
}

/** The name of its StorageClass; empty: it is of none. */
export const storageClassNameOf = ({ metadata, spec }: OfClass): string =>
  metadata.annotations?.[storageClassAnnotation] ?? spec?.storageClassName ?? "";

/** Also the empty class is a choice: none. */
export const namesStorageClass = ({ metadata, spec }: OfClass): boolean =>
  metadata.annotations?.[storageClassAnnotation] !== undefined || spec?.storageClassName !== undefined;
