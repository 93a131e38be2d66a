"""`init`: a working project around an application, from what lies in the application's directory.

- `sources`       reads the files that say something, and alone touches the disk;
- `broken`        refuses those that cannot be read;
- `dependencies`  what the application depends on, and whether that is locked;
- `code`          what its Python says: the object that serves, pages of health, variables that it reads;
- `starts`        what a Procfile or a Dockerfile starts, as processes; `commands` reads their lines;
- `python`, `guess`  a description (ferryman.yml) from all that, with the reason for each part: pure functions;
- `described`     what an application says that describes itself already;
- `describe`      writes a description as a file that explains itself;
- `project`       lays out the files around it, and overwrites nothing.
"""
