import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { PodLogs } from "./pod-logs.ts";

let root: string;
let logs: PodLogs;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pod-logs-"));
  logs = new PodLogs(join(root, "log"), silentLog);
});
afterEach(() => rmSync(root, { recursive: true }));

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "blue", uid: "u-1" },
  spec: { containers: [] },
};
const container = (id: string, attempt: number, logPath = join(root, `${id}-json.log`)): ContainerStatus => {
  mkdirSync(join(logPath, ".."), { recursive: true });
  writeFileSync(logPath, `of ${id}\n`);
  return {
    id,
    sandboxId: "s",
    pod: { uid: "u-1", namespace: "blue", name: "web" },
    name: "main",
    attempt,
    state: "running",
    createdAt_ms: 0,
    oomKilled: false,
    image: "i",
    imageId: "i",
    pid: 1,
    logPath,
    labels: {},
    annotations: {},
  };
};
const inLog = (...path: string[]): string => join(root, "log", ...path);

test("a runtime's log is linked where collectors look, and a removed container's link goes", async () => {
  const [first, second] = [container("aa", 0), container("bb", 1)];
  await logs.show(pod, [first, second]);
  expect(readFileSync(inLog("pods/blue_web_u-1/main/0.log"), "utf8")).toBe("of aa\n");
  expect(readlinkSync(inLog("containers/web_blue_main-bb.log"))).toBe(inLog("pods/blue_web_u-1/main/1.log"));
  expect(readFileSync(inLog("containers/web_blue_main-bb.log"), "utf8")).toBe("of bb\n");
  await logs.show(pod, [second]);
  expect(readdirSync(inLog("containers"))).toEqual(["web_blue_main-bb.log"]);
  expect(readdirSync(inLog("pods/blue_web_u-1/main"))).toEqual(["1.log"]);
  await logs.remove(pod);
  expect(readdirSync(inLog("containers"))).toEqual([]);
  expect(readdirSync(inLog("pods"))).toEqual([]);
  expect(readFileSync(second.logPath ?? "", "utf8")).toBe("of bb\n");
});

test("a log that the runtime writes in place gets the short link alone", async () => {
  const path = inLog("pods/blue_web_u-1/main/0.log");
  await logs.show(pod, [container("aa", 0, path)]);
  expect(readFileSync(path, "utf8")).toBe("of aa\n");
  expect(readFileSync(inLog("containers/web_blue_main-aa.log"), "utf8")).toBe("of aa\n");
});

test("what an earlier run left of pods that are gone is swept", async () => {
  await logs.show(pod, [container("aa", 0)]);
  const later = new PodLogs(inLog(), silentLog);
  await later.sweep(new Set(["u-1"]));
  expect(existsSync(inLog("containers/web_blue_main-aa.log"))).toBe(true);
  await later.sweep(new Set());
  expect(readdirSync(inLog("pods"))).toEqual([]);
  expect(readdirSync(inLog("containers"))).toEqual([]);
});

test("a folder that cannot be written holds up nothing", async () => {
  writeFileSync(join(root, "log"), "a file");
  await logs.show(pod, [container("aa", 0)]);
  await logs.remove(pod);
});
