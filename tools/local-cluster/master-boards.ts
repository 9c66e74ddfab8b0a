import type { Board } from "./board.ts";
import { storeArgs } from "./etcd.ts";

/** The masters of a cluster, `<prefix>.11` and following: one over its own file, or several that share an etcd. */
export function masterBoards(prefix: string, count: number, args: readonly string[], hostname?: string): Board[] {
  const boards = Array.from({ length: count }, (_, index): Board => {
    const name = `master-${index + 1}`;
    const address = `${prefix}.${11 + index}`;
    return { name, role: "master", address, hostname: hostname ?? name, machine: "namespaces", args: [] };
  });
  return boards.map((board, index) => {
    const shared = index === 0 ? storeArgs(boards) : ["--server", `https://${boards[0]?.address}:6443`];
    return { ...board, args: ["master", ...(count > 1 ? shared : []), ...args] };
  });
}
