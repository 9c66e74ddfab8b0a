import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { namespaces, serviceAccounts } from "#shared/api/resources.ts";
import { eventually } from "../../master/controllers/testing/eventually.ts";
import { workloadControllers } from "../../master/controllers/workload-controllers.ts";
import { joinBoard, playBoards } from "./boards.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { boardRows } from "./rows/boards.ts";
import { securityRows } from "./rows/security.ts";
import { serviceRows } from "./rows/services.ts";
import { type Rows, Stage } from "./rows/stage.ts";
import { volumeRows } from "./rows/volumes.ts";
import { workloadRows } from "./rows/workloads.ts";

/* All controllers at once, each with the rights of its own account; every one of them shows its work. */

const rows: Rows = { ...workloadRows, ...serviceRows, ...volumeRows, ...boardRows, ...securityRows };

let plane: ControlPlane;
const boards = new AbortController();
beforeAll(async () => {
  plane = await startControlPlane(workloadControllers());
  for (const name of ["board-1", "board-2"]) await joinBoard(plane.admin, name);
  void playBoards(plane.admin, boards.signal);
}, 300_000);
afterAll(async () => {
  boards.abort();
  await plane.stop();
}, 300_000);
afterEach(() => expect(plane.complaints.filter((complaint) => complaint.includes("forbidden"))).toEqual([]));

test("no controller is left out", () => {
  expect(Object.keys(rows).toSorted()).toEqual(plane.controllers.toSorted());
});

for (const [name, shows] of Object.entries(rows))
  test(`${name} shows its work`, async () => {
    const { admin } = plane;
    await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
    const account = { namespace: name, name: "default" };
    const stage = new Stage(admin, name, (ms) => plane.leap(ms));
    await eventually(() => stage.exists(serviceAccounts, account), "the namespace's account");
    await shows(stage);
  }, 300_000);
