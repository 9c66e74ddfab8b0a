import type { Container, PodSpec } from "./types/core-v1.generated.ts";

/** An init container that runs on beside the others (KEP-753). */
export const isSidecar = ({ restartPolicy }: Container): boolean => restartPolicy === "Always";

export const sidecarsOf = (spec: PodSpec | undefined): Container[] => (spec?.initContainers ?? []).filter(isSidecar);
