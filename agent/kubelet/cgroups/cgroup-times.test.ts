import { expect, test } from "bun:test";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { CgroupTimes } from "./cgroup-times.ts";
import type { GroupTree } from "./cgroup-tree.ts";

test("changes of control groups are measured, those that fail too; what is only read is not", async () => {
  const done: string[] = [];
  const tree = {
    exists: (path: string) => path === "/pods",
    create: async (path: string) => void done.push(`create ${path}`),
    set: async (path: string) => void done.push(`set ${path}`),
    remove: () => Promise.reject(new Error("EBUSY")),
  } as unknown as GroupTree;
  const times = new CgroupTimes();
  const timed = times.timed(tree);
  expect(timed.exists("/pods")).toBe(true);
  await timed.create("/pods", {});
  await timed.set("/pods", {});
  await expect(timed.remove("/pods")).rejects.toThrow("EBUSY");
  expect(done).toEqual(["create /pods", "set /pods"]);
  const counts = renderPrometheus(times.families())
    .split("\n")
    .filter((line) => line.includes("_count{"));
  expect(counts).toEqual(
    ["create", "update", "destroy"].map(
      (operation) => `kubelet_cgroup_manager_duration_seconds_count{operation_type="${operation}"} 1`,
    ),
  );
});
