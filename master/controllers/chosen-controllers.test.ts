import { expect, test } from "bun:test";
import { choiceOfControllers } from "./chosen-controllers.ts";

const own = ["job-controller", "node-controller", "token-cleaner-controller", "helm-controller"];
const running = (...wanted: string[]): string[] => own.filter(choiceOfControllers(wanted, own));

test("controllers run by upstream's names, old and new", () => {
  expect(running("*")).toEqual(own);
  expect(running("*", "-nodelifecycle", "-job-controller")).toEqual(["token-cleaner-controller", "helm-controller"]);
  expect(running("job", "helm-controller")).toEqual(["job-controller", "helm-controller"]);
  expect(running("*", "-selinux-warning-controller")).toEqual(own);
});

test("a name that nobody has is refused", () => {
  expect(() => running("*", "-nonsense")).toThrow('"nonsense" is not in the list of known controllers');
});
