// The whole front end: no build step, no dependencies.
const $ = (selector, root = document) => root.querySelector(selector);

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return body;
  const detail = body?.detail;
  const error = new Error(Array.isArray(detail) ? detail.map((d) => d.msg).join("; ") : detail || `error ${answer.status}`);
  error.status = answer.status;
  throw error;
}

const send = (method, path, data) =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// What goes wrong is said where it was tried.
async function attempt(place, work) {
  const problem = $(".problem", place);
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    if (error.status === 401 && place.id !== "login") return show(null);
    problem.textContent = error.message;
  }
}

function show(name) {
  $("#welcome").hidden = name !== null;
  $("#desk").hidden = $("#account").hidden = name === null;
  $("#who").textContent = name ?? "";
  if (name !== null) {
    attempt($("#write"), showNotes);
    attempt($("aside"), showFiles);
  }
}

async function showNotes() {
  const notes = await ask("/api/notes");
  $("#notes").replaceChildren(...notes.map((note) => {
    const remove = make("button", { className: "quiet", textContent: "Remove" });
    remove.onclick = () => attempt($("#write"), async () => {
      await ask(`/api/notes/${note.id}`, { method: "DELETE" });
      await showNotes();
    });
    const when = make("time", { textContent: new Date(note.changed_at).toLocaleString() });
    return make("article", { className: "card" },
      make("h3", { textContent: note.title }), make("p", { textContent: note.body }),
      make("div", { className: "row" }, when, remove));
  }));
}

function describe({ size, facts }) {
  const large = size < 1024 ? `${size} bytes` : size < 1048576 ? `${(size / 1024).toFixed(1)} kB` : `${(size / 1048576).toFixed(1)} MB`;
  if (!facts) return large;
  return `${large} · ${facts.kind}${facts.kind === "text" ? `, ${facts.words} words` : ""}`;
}

async function showFiles() {
  const files = await ask("/api/media");
  $("#files").replaceChildren(...files.map((file) => make("li", {},
    make("a", { href: `/api/media/${file.id}`, textContent: file.name }),
    make("small", { textContent: describe(file) }))));
  // The worker looks at a new file within a second or two.
  if (files.some((file) => !file.facts)) setTimeout(() => attempt($("aside"), showFiles), 1500);
}

// fetch tells nothing about how far an upload is.
const upload = (file) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  const bar = $("#progress");
  bar.hidden = false;
  request.upload.onprogress = (event) => { bar.value = event.loaded / event.total; };
  request.onloadend = () => {
    bar.hidden = true;
    if (request.status === 201) return resolve();
    reject(Object.assign(new Error(request.status === 413 ? "this file is too large" : "the upload failed"), { status: request.status }));
  };
  request.open("POST", `/api/media?name=${encodeURIComponent(file.name)}`);
  request.send(file);
});

const uploadAll = (files) => attempt($("aside"), async () => {
  for (const file of files) await upload(file);
  await showFiles();
});

$("#login").onsubmit = (event) => {
  event.preventDefault();
  const word = event.submitter?.value ?? "login";
  const { name, password } = Object.fromEntries(new FormData(event.target));
  attempt(event.target, async () => {
    show((await send("POST", `/api/${word}`, { name, password })).name);
    event.target.reset();
  });
};
$("#logout").onclick = async () => {
  await ask("/api/logout", { method: "POST" });
  show(null);
};
$("#write").onsubmit = (event) => {
  event.preventDefault();
  attempt(event.target, async () => {
    await send("POST", "/api/notes", Object.fromEntries(new FormData(event.target)));
    event.target.reset();
    await showNotes();
  });
};
$("#file").onchange = (event) => uploadAll([...event.target.files]);
const drop = $(".drop");
drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  uploadAll([...event.dataTransfer.files]);
};

ask("/version").then(({ release, title }) => {
  $("#release").textContent = release;
  $("#title").textContent = document.title = title;
});
ask("/api/me").then(({ name }) => show(name), () => show(null));
