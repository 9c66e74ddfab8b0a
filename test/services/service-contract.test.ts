import { describe, setDefaultTimeout } from "bun:test";
import { canMakeNamespaces } from "../support/namespace.ts";
import { describeServiceContract } from "./service-contract.ts";

setDefaultTimeout(300_000);

describe.skipIf(!canMakeNamespaces())("the service contract", () => {
  for (const family of ["IPv4", "IPv6"] as const) {
    describeServiceContract("iptables", {
      family,
      keepsClientAddress: true,
      outlivesAgent: true,
      dnsIsPatient: true,
      // The kernel leads nothing from ::1 to pods, for which it has a setting in IPv4.
      answersOnLoopback: family === "IPv4",
    });
    describeServiceContract("userspace", {
      family,
      keepsClientAddress: false,
      outlivesAgent: false,
      dnsIsPatient: false,
      answersOnLoopback: true,
    });
  }
});
