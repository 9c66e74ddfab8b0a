import { expect, test } from "bun:test";
import type Docker from "dockerode";
import { containerStatus } from "./docker-status.ts";

test.each([
  ["initialized", "created", undefined],
  ["stopping", "running", undefined],
  ["stopped", "exited", 3],
  ["exited", "exited", 3],
  ["removing", "unknown", undefined],
] as const)("a container that Podman calls %s is %s", (status, state, exitCode) => {
  const listed = { Id: "a", Names: ["/a"], Labels: {}, State: status, Created: 1 } as unknown as Docker.ContainerInfo;
  const details = {
    Created: "2026-01-01T00:00:00Z",
    Config: { Image: "web" },
    State: {
      Status: status,
      ExitCode: 3,
      Error: "",
      StartedAt: "2026-01-01T00:00:01Z",
      FinishedAt: "2026-01-01T00:00:02Z",
    },
  } as unknown as Docker.ContainerInspectInfo;
  expect(containerStatus(listed, details, "sha256:1")).toMatchObject({ state, exitCode });
});
