import { expect, test } from "bun:test";
import type { ContainerState, ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";
import { loggedContainer } from "./container-choice.ts";

const podWith = (status: Partial<ContainerStatus>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default" },
  spec: { containers: [{ name: "main" }] },
  status: {
    containerStatuses: [
      { name: "main", image: "web:1", imageID: "", ready: false, restartCount: 0, ...status } as ContainerStatus,
    ],
  },
});
const ended = (containerID: string): ContainerState => ({ terminated: { containerID, exitCode: 1 } });
const waiting = (reason: string): ContainerState => ({ waiting: { reason } });

const now = (status: Partial<ContainerStatus>): string => loggedContainer(podWith(status), "main", { previous: false });
const before = (status: Partial<ContainerStatus>): string =>
  loggedContainer(podWith(status), "main", { previous: true });

test("the log is of the container that runs, or else of the last that ended", () => {
  expect(now({ containerID: "docker://b", state: { running: {} }, lastState: ended("docker://a") })).toBe("b");
  expect(now({ containerID: "docker://b", state: ended("docker://b"), lastState: ended("docker://a") })).toBe("b");
  const backOff = { containerID: "docker://b", state: waiting("CrashLoopBackOff"), lastState: ended("docker://b") };
  expect(now(backOff)).toBe("b");
});

test("the previous log is of the last that ended, also while the next is waited for", () => {
  expect(before({ containerID: "docker://b", state: { running: {} }, lastState: ended("docker://a") })).toBe("a");
  const backOff = { containerID: "docker://a", state: waiting("CrashLoopBackOff"), lastState: ended("docker://a") };
  expect(before(backOff)).toBe("a");
  expect(() => before({ containerID: "docker://a", state: ended("docker://a") })).toThrow(
    'previous terminated container "main" in pod "web" not found',
  );
});

test("without a container it says why, as upstream's kubelet does", () => {
  expect(() => now({ state: waiting("ErrImagePull") })).toThrow(
    'container "main" in pod "web" is waiting to start: image can\'t be pulled',
  );
  expect(() => now({ state: waiting("ImagePullBackOff") })).toThrow(
    'container "main" in pod "web" is waiting to start: trying and failing to pull image',
  );
  expect(() => now({ state: waiting("PodInitializing") })).toThrow(
    'container "main" in pod "web" is waiting to start: PodInitializing',
  );
  expect(() => now({ state: ended("") })).toThrow('container "main" in pod "web" is terminated');
  expect(() => loggedContainer(podWith({}), "other", { previous: false })).toThrow(
    'container "other" in pod "web" is not available',
  );
});
