"""The local stack: everything that stands in for AWS on one machine, and nothing that ships to AWS.

- `ministack_strict.py`, `engine/`: MiniStack's Step Functions, made to time out, abort and forget tokens as AWS does.
- `stack.py`: the command line; `lifecycle.py`: which processes a stack has and how they start; `state.py`: what a stack
  remembers between two calls; `processes.py`: how a process is started, recognised and stopped.
- `deploy.py`: turns `statemachine/contract/contract.json` into tables, activities and state machines.
- `venv.sh`, `requirements.txt`: the pinned Python environment all of it runs in.

Workers never import or notice this package: they are pointed here by the standard `AWS_ENDPOINT_URL_*` variables alone.
"""
