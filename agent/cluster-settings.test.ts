import { expect, test } from "bun:test";
import { loadSettings } from "#shared/config/load.ts";
import { workerOptions } from "#shared/config/settings.ts";
import { withClusterSettings } from "./cluster-settings.ts";

const told = { clusterCidr: "10.42.0.0/16,fd42::/56", clusterDomain: "fleet.local", mqttPort: "1" };

test("a board takes its master's networks and names, where it was given none itself", () => {
  const plain = withClusterSettings(loadSettings(workerOptions, {}, undefined), told);
  expect(plain).toMatchObject({ clusterCidr: told.clusterCidr, clusterDomain: "fleet.local", mqttPort: 8883 });
  expect(plain.serviceCidr).toBe("10.43.0.0/16");
  const given = loadSettings(workerOptions, { "cluster-domain": "own.local" }, undefined);
  expect(withClusterSettings(given, told).clusterDomain).toBe("own.local");
});
