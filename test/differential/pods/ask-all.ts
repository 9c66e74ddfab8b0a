import type { Client } from "#shared/client/client.ts";
import { type Answer, observe } from "./observe.ts";
import { questions } from "./questions.ts";

/** Pods at once: a board has two cores. */
const parallel = 4;

/** Asks all questions, a few at a time. Rejects with the first that comes to nothing. */
export async function askAll(
  client: Client,
  around: { readonly nodeName: string; readonly image: string },
): Promise<Record<string, Answer>> {
  const answers: Record<string, Answer> = {};
  const waiting = Object.entries(questions);
  const ask = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [title, question] = next;
      const name = title.toLowerCase().replaceAll(/[^a-z]+/g, "-");
      answers[title] = await observe(client, name, question, around);
    }
  };
  await Promise.all(Array.from({ length: parallel }, ask));
  return Object.fromEntries(Object.keys(questions).map((title) => [title, answers[title] as Answer]));
}
