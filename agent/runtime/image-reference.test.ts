import { expect, test } from "bun:test";
import { formatImageReference, InvalidImageReference, isImageId, parseImageReference } from "./image-reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

test.each([
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.27", "docker.io/library/nginx:1.27"],
  ["user/app", "docker.io/user/app:latest"],
  ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
  ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"],
  ["localhost/app", "localhost/app:latest"],
  ["localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"],
  ["10.0.0.1:5000/app", "10.0.0.1:5000/app:latest"],
  ["[fd00::1]:5000/app", "[fd00::1]:5000/app:latest"],
  [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
  [`nginx:1.27@${digest}`, `docker.io/library/nginx@${digest}`],
  ["deadbeef", "docker.io/library/deadbeef:latest"],
])("%s is %s", (given, full) => {
  expect(formatImageReference(parseImageReference(given))).toBe(full);
});

test.each(["", "Nginx", "nginx:", "nginx:-x", "a//b", "nginx@sha256:12", "-x/y", " nginx", "a/b:c/d", "nginx:a:b"])(
  "%p is no image name",
  (given) => {
    expect(() => parseImageReference(given)).toThrow(InvalidImageReference);
  },
);

test("an upper-case name is told what is wrong with it", () => {
  expect(() => parseImageReference("registry.k8s.io/Web:1")).toThrow(
    `couldn't parse image name "registry.k8s.io/Web:1": invalid reference format: repository name (Web) must be lowercase`,
  );
});

test("ids are told from names", () => {
  expect(isImageId(digest)).toBe(true);
  expect(isImageId("a".repeat(64))).toBe(true);
  expect(isImageId("a".repeat(12))).toBe(false);
});
