import { createLan, removeLan } from "tools/local-cluster/lan.ts";
import { InstallBoard } from "test/install/install-board.ts";
const lan = { cluster: "bramble-in2", prefix: "10.198.78" };
removeLan(lan); createLan(lan);
const m = await InstallBoard.start(lan, "box-1", "10.198.78.11");
try {
  console.log((await m.run("/tmp2/install.sh", { INSTALL_BRAMBLE_SOURCE: "/var/tmp/rel", INSTALL_BRAMBLE_EXEC: "--log-level debug" })).output.slice(-300));
  console.log((await m.run("/var/tmp/rel/install.sh", { INSTALL_BRAMBLE_EXEC: "--log-level debug" })).output.slice(-300));
  const w = await InstallBoard.start(lan, "box-2", "10.198.78.12");
  const line = (await m.run("bramble token create --print-join")).output.trim();
  console.log((await w.run(line.replace("| sudo ", "| env "))).output.slice(-300));
  console.log((await w.run("bramble-uninstall.sh")).output);
  await Bun.sleep(Number(process.argv[2] ?? 0));
  console.log((await m.run("bramble-uninstall.sh --keep-data >/tmp/u 2>&1 & p=$!; sleep 8; ss -tnp; tail -n 20 /var/log/bramble/bramble-master.log; wait $p; cat /tmp/u")).output);
  w.stop();
} finally { m.stop(); removeLan(lan); }
process.exit(0);
