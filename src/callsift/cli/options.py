"""Help of options that several verbs share."""

ASR_HELP = (
    "Speech recognition for calls without transcript, with its options: pocketsphinx (built in, weak, English), "
    "sherpa-onnx,model=FOLDER, faster-whisper,model=FOLDER, http,url=URL, iflytek, or none. See callsift doctor."
)
DIARIZER_HELP = (
    "Tells two speakers on one channel apart: clustering (built in), sherpa-onnx,segmentation=FILE,embedding=FILE, "
    "or none."
)
TIMEOUT_HELP = "Seconds a call may take; 0: any. Default: 600 and 5 per second of it."
RATE_HELP = "Sampling rate of recordings without a header (.ulaw, .alaw, .vox, .sln), in Hz."
