import { inUrl } from "#shared/http/host-port.ts";
import type { Board } from "./board.ts";
import { storeArgs } from "./etcd.ts";
import { addressIn } from "./lan.ts";

export interface MasterPlan {
  readonly count: number;
  /** Whether a single master shares Bramble's own etcd too. */
  readonly etcd?: boolean | undefined;
  /** Further flags of each. */
  readonly args: readonly string[];
  readonly hostname?: string | undefined;
}

/** The masters of a cluster, `<prefix>.11` or `<prefix>::11` and following: one over its own file, or several that share an etcd. */
export function masterBoards(prefix: string, { count, etcd, args, hostname }: MasterPlan): Board[] {
  const isShared = count > 1 || etcd === true;
  return Array.from({ length: count }, (_, index): Board => {
    const name = `master-${index + 1}`;
    const shared = index === 0 ? storeArgs : ["--server", `https://${inUrl(addressIn(prefix, 11))}:6443`];
    return {
      name,
      role: "master",
      address: addressIn(prefix, 11 + index),
      hostname: hostname ?? name,
      machine: "namespaces",
      args: ["master", ...(isShared ? shared : []), ...args],
    };
  });
}
