/** What pods, their containers and their events say through their lives is what upstream's kubelet says. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { KubeletBoard, nodeName } from "../../kubelet/kubelet-board.ts";
import { canRunDockerd, testImage } from "../../support/dockerd.ts";
import recorded from "./answers.json";
import { askAll } from "./ask-all.ts";
import type { Answer } from "./observe.ts";
import { questions } from "./questions.ts";

describe.skipIf(!canRunDockerd())("the lives of pods", () => {
  let board: KubeletBoard;
  let answers: Record<string, Answer>;
  beforeAll(async () => {
    board = await KubeletBoard.start();
    answers = await askAll(board.api, { nodeName, image: testImage });
  }, 600_000);
  afterAll(() => board?.stop(), 300_000);

  test("every question has its answer", () => {
    expect(Object.keys(recorded)).toEqual(Object.keys(questions));
  });

  for (const [title, answer] of Object.entries(recorded))
    test(title, () => {
      expect(JSON.parse(JSON.stringify(answers[title]))).toEqual(answer);
    });
});
