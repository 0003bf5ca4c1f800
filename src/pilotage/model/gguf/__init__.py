"""A GGUF file as a model of this process, by llama.cpp: `MODEL=gguf:/path/to/model.gguf`, no server and no key.

    model     the loaded file: one call at a time, what it makes is constrained, and how sure it is of a yes or no
    llm       what CrewAI gets: an agent's call as a request to the model, and its answer as CrewAI takes it
    weighing  findings and verdicts, by how sure the model is of a yes
    protocol  tool calls and typed results as one JSON object that the schema allows
    narrow    a schema whose answers end, and whose quotes and sources are those that the request holds
    file      which file is meant, and whether it can be loaded

What is not covered: pictures and sound, embeddings, more than one call at a time, a GPU that the wheel does not know.
"""
