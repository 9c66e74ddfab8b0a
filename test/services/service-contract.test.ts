import { describe, setDefaultTimeout } from "bun:test";
import { canMakeNamespaces } from "../support/namespace.ts";
import { describeServiceContract } from "./service-contract.ts";

setDefaultTimeout(120_000);

describe.skipIf(!canMakeNamespaces())("the service contract", () => {
  for (const family of ["IPv4", "IPv6"] as const) {
    describeServiceContract("iptables", { family, keepsClientAddress: true, outlivesAgent: true, dnsIsPatient: true });
    describeServiceContract("userspace", {
      family,
      keepsClientAddress: false,
      outlivesAgent: false,
      dnsIsPatient: false,
    });
  }
});
