import { expect, test } from "bun:test";
import type Docker from "dockerode";
import { until } from "#shared/testing/until.ts";
import { DockerStats } from "./docker-stats.ts";

/** Of no process here: Docker's own numbers stand in. */
const elsewhere = { State: { Pid: 2 ** 30 } };

test("a layer is measured once for all who ask meanwhile", async () => {
  const walks: PromiseWithResolvers<object[]>[] = [];
  let asking = 0;
  const stats = async () => {
    asking += 1;
    return {};
  };
  const docker = {
    getContainer: () => ({ inspect: async () => elsewhere, stats }),
    listContainers: () => {
      const walk = Promise.withResolvers<object[]>();
      walks.push(walk);
      return walk.promise;
    },
  } as unknown as Docker;
  const reader = new DockerStats(docker);
  const asked = Promise.allSettled([reader.of("c"), reader.of("c")]);
  await until("both ask", () => asking === 2 && walks.length > 0);
  walks[0]?.reject(new Error("it took too long"));
  expect((await asked).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(walks.length).toBe(1);
  const again = reader.of("c");
  await until("it is measured anew", () => walks.length === 2);
  walks[1]?.resolve([{ SizeRw: 7 }]);
  expect((await again).fsUsed_bytes).toBe(7);
});
