import type { Container } from "#shared/api/types/core-v1.generated.ts";
import { testImage } from "../support/dockerd.ts";

/** A container that runs lines of shell, with the defaults that an API server would fill in. */
export function shell(name: string, script: string, more: Partial<Container> = {}): Container {
  return {
    name,
    image: testImage,
    imagePullPolicy: "IfNotPresent",
    command: ["/bin/sh", "-c", script],
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    ...more,
  };
}
